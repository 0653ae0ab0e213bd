-- The one place for the rules of the wire protocol about members: those that most updates have are checked here, the
-- others in rare_members_hold and type_counts_hold. It is one expression, and most of that is one JSON path, because
-- every update pays for it: PostgreSQL sets up each statement again in each transaction. update_problems finds the
-- members at fault by calling this with one member at a time. The timestamp is left to parse_timestamp.
--
-- A type is asked of a member itself: in a filter, JSON path would unwrap an array and judge its elements.

CREATE OR REPLACE FUNCTION tallymark.is_valid_update(job_id text, payload jsonb) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN jsonb_path_match(payload, '
    !($.itemsByType.type() != "object")
    && !($.itemsByType.*.type() != "number")
    && !exists($.itemsByType.* ? (@ < 0 || @ > 9007199254740991 || @.floor() != @))
    && !($.processedItems.type() != "number")
    && !exists($.processedItems ? (@ < 0 || @ > 9007199254740991 || @.floor() != @))
    && !($.totalItems.type() != "number")
    && !exists($.totalItems ? (@ < 0 || @ > 9007199254740991 || @.floor() != @))
    && !($.processedItems > $.totalItems)
    && !($.currentDataType.type() != "string")
    && !($.stage.type() != "string")
    && !($.lastProcessedId.type() != "string")
    && !($.message.type() != "string")
    && !($.taskId.type() != "string")
    && !exists($.itemsByType."")
  ')
  AND (payload ->> 'taskId' = job_id) IS NOT FALSE
  AND (payload @> '{"status": "processing"}' OR NOT payload ? 'status'
    OR tallymark.job_status(payload ->> 'status') IS NOT NULL)
  AND (payload ->> 'operationType' IN ('discovery', 'branch_crawling', 'data_collection', 'finalization')) IS NOT FALSE
  AND (greatest(char_length(payload ->> 'currentDataType'), char_length(payload ->> 'stage')) <= 100) IS NOT FALSE
  AND (char_length(payload ->> 'lastProcessedId') <= 255) IS NOT FALSE
  -- In a text of 100 bytes no name is too long and there are few names; an empty name is looked for above.
  AND CASE WHEN octet_length((payload -> 'itemsByType')::text) > 100
    THEN tallymark.type_names_hold(payload -> 'itemsByType') ELSE true END
  AND CASE WHEN payload ?| ARRAY['updateId', 'workerId', 'counting', 'error', 'progress', 'areas', 'timeline',
      'credentialStatus', 'itemKeys', 'doneBeyond', 'processed', 'total', 'groupCount', 'projectCount', 'groupTotal',
      'projectTotal', 'waitUntil', 'reason']
    THEN tallymark.rare_members_hold(payload) ELSE true END
  AND CASE WHEN payload ?| ARRAY['foundByType', 'failedByType', 'skippedByType', 'totalsByType']
    THEN tallymark.type_counts_hold(payload) ELSE true END;

COMMENT ON FUNCTION tallymark.is_valid_update(text, jsonb) IS
'Tells whether each member of an update keeps to the wire protocol. It does not check the timestamp, waitUntil as a
time, and the entries of timeline.
Arguments: job_id: the job that the update is for; payload: the update, a JSON object without members that are null.
Returns: true or false. Whole numbers go up to 2^53-1, the largest that a JSON reader with IEEE 754 doubles holds
exactly (RFC 8259, section 6); 7278.0 is one, as in JSON Schema.';

REVOKE ALL ON FUNCTION tallymark.is_valid_update(text, jsonb) FROM PUBLIC;
