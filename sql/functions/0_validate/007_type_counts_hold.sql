-- The rules of the wire protocol for the counts that balance the books: found, failed, skipped, and how many there are. One
-- expression, because a crawler may send them in each update.

CREATE OR REPLACE FUNCTION tallymark.type_counts_hold(payload jsonb) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  RETURN jsonb_path_match(type_counts_hold.payload, '
    !($.foundByType.type() != "object") && !($.foundByType.*.type() != "number")
    && !exists($.foundByType.* ? (@ < 0 || @ > 9007199254740991 || @.floor() != @)) && !exists($.foundByType."")
    && !($.failedByType.type() != "object") && !($.failedByType.*.type() != "number")
    && !exists($.failedByType.* ? (@ < 0 || @ > 9007199254740991 || @.floor() != @)) && !exists($.failedByType."")
    && !($.skippedByType.type() != "object") && !($.skippedByType.*.type() != "number")
    && !exists($.skippedByType.* ? (@ < 0 || @ > 9007199254740991 || @.floor() != @)) && !exists($.skippedByType."")
    && !($.totalsByType.type() != "object") && !($.totalsByType.*.type() != "number")
    && !exists($.totalsByType.* ? (@ < 0 || @ > 9007199254740991 || @.floor() != @)) && !exists($.totalsByType."")
  ')
  -- As in is_valid_update: in a text of 100 bytes no name is too long and there are few names.
  AND CASE WHEN octet_length((type_counts_hold.payload -> 'foundByType')::text) > 100
    THEN tallymark.type_names_hold(type_counts_hold.payload -> 'foundByType') ELSE true END
  AND CASE WHEN octet_length((type_counts_hold.payload -> 'failedByType')::text) > 100
    THEN tallymark.type_names_hold(type_counts_hold.payload -> 'failedByType') ELSE true END
  AND CASE WHEN octet_length((type_counts_hold.payload -> 'skippedByType')::text) > 100
    THEN tallymark.type_names_hold(type_counts_hold.payload -> 'skippedByType') ELSE true END
  AND CASE WHEN octet_length((type_counts_hold.payload -> 'totalsByType')::text) > 100
    THEN tallymark.type_names_hold(type_counts_hold.payload -> 'totalsByType') ELSE true END;
END
$$;

COMMENT ON FUNCTION tallymark.type_counts_hold(jsonb) IS
'Tells whether foundByType, failedByType, skippedByType and totalsByType of an update keep to the wire protocol: objects
of at most 200 whole numbers, as itemsByType is.
Arguments: payload: the update.
Returns: true or false; true where it has none of them.';

REVOKE ALL ON FUNCTION tallymark.type_counts_hold(jsonb) FROM PUBLIC;
