-- The rules of the wire protocol for the members of an update, once. All of it is one expression, and most of that one
-- JSON path, because every update pays for it: PostgreSQL sets an expression up anew in each transaction, and thirty
-- statements for thirty rules cost ten times as much. update_problems finds the members at fault by asking this for each
-- member alone. The timestamp is left to parse_timestamp. A type is asked of a member itself, since in a filter JSON path
-- would unwrap an array first and judge its elements.

CREATE OR REPLACE FUNCTION tallymark.is_valid_update(job_id text, payload jsonb) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN jsonb_path_match(payload, '
    !($.*.type() == "null")
    && !($.processedItems.type() != "number") && !exists($.processedItems ? (@ < 0 || @ > 9007199254740991 || @.floor() != @))
    && !($.totalItems.type() != "number") && !exists($.totalItems ? (@ < 0 || @ > 9007199254740991 || @.floor() != @))
    && !($.processedItems > $.totalItems)
    && !($.processed.type() != "number") && !exists($.processed ? (@ < 0 || @ > 9007199254740991 || @.floor() != @))
    && !($.total.type() != "number") && !exists($.total ? (@ < 0 || @ > 9007199254740991 || @.floor() != @))
    && !($.groupCount.type() != "number") && !exists($.groupCount ? (@ < 0 || @ > 9007199254740991 || @.floor() != @))
    && !($.projectCount.type() != "number") && !exists($.projectCount ? (@ < 0 || @ > 9007199254740991 || @.floor() != @))
    && !($.groupTotal.type() != "number") && !exists($.groupTotal ? (@ < 0 || @ > 9007199254740991 || @.floor() != @))
    && !($.projectTotal.type() != "number") && !exists($.projectTotal ? (@ < 0 || @ > 9007199254740991 || @.floor() != @))
    && !($.itemsByType.type() != "object")
    && !($.itemsByType.*.type() != "number") && !exists($.itemsByType.* ? (@ < 0 || @ > 9007199254740991 || @.floor() != @))
    && !($.currentDataType.type() != "string")
    && !($.stage.type() != "string")
    && !($.lastProcessedId.type() != "string")
    && !($.message.type() != "string")
    && !($.taskId.type() != "string")
    && !($.status.type() != "string")
    && !($.timestamp.type() != "string")
    && !($.operationType.type() != "string") && !exists($.operationType ? (@ != "discovery" && @ != "branch_crawling"
      && @ != "data_collection" && @ != "finalization"))
    && !($.updateId.type() != "string") && !($.updateId == "")
    && !($.workerId.type() != "string") && !($.workerId == "")
    && !($.counting.type() != "string") && !exists($.counting ? (@ != "increment" && @ != "cumulative"))
    && !exists($.error.type() ? (@ != "string" && @ != "object"))
    && !($.credentialStatus.type() != "object")
    && !($.areas.type() != "array") && !($.areas.size() > 1000) && !($.areas[*].type() != "object")
    && !($.timeline.type() != "array") && !($.timeline.size() > 100)
  ')
  AND (payload ->> 'taskId' = job_id) IS NOT FALSE
  AND (tallymark.job_status(payload ->> 'status') IS NOT NULL OR NOT payload ? 'status')
  AND (greatest(char_length(payload ->> 'currentDataType'), char_length(payload ->> 'stage'),
    char_length(payload ->> 'workerId')) <= 100) IS NOT FALSE
  AND (greatest(char_length(payload ->> 'lastProcessedId'), char_length(payload ->> 'updateId')) <= 255) IS NOT FALSE
  -- In a text of 100 bytes no name is too long, and names are few; an empty one is looked for.
  AND CASE WHEN octet_length((payload -> 'itemsByType')::text) > 100 OR payload -> 'itemsByType' ? ''
    THEN tallymark.type_names_hold(payload -> 'itemsByType') ELSE true END
  AND CASE WHEN payload ? 'progress' THEN octet_length((payload -> 'progress')::text) <= 65536 ELSE true END;

COMMENT ON FUNCTION tallymark.is_valid_update(text, jsonb) IS
'Whether each member of an update is what the wire protocol asks for; the timestamp and the entries of timeline aside.
Arguments: job_id, the job it is for; payload, the update as a JSON object.
Returns: true or false; false also where a member is null, which update_problems expects to be taken out before.
Whole numbers go up to 2^53-1, the largest that a JSON reader with IEEE 754 doubles holds exactly (RFC 8259, section 6);
7278.0 is one, as in JSON Schema.';

REVOKE ALL ON FUNCTION tallymark.is_valid_update(text, jsonb) FROM PUBLIC;
