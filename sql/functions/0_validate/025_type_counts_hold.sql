-- The rules of the wire protocol for the counts that balance the books: found, failed, skipped, and how many there are.

CREATE OR REPLACE FUNCTION tallymark.type_counts_hold(payload jsonb) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  c_members CONSTANT text[] := '{foundByType,failedByType,skippedByType,totalsByType}';
  v_member text;
  v_counts jsonb;
BEGIN
  FOREACH v_member IN ARRAY c_members LOOP
    v_counts := type_counts_hold.payload -> v_member;
    IF v_counts IS NOT NULL AND (jsonb_path_match(v_counts, '
        $.type() == "object" && !($.*.type() != "number")
        && !exists($.* ? (@ < 0 || @ > 9007199254740991 || @.floor() != @))')
      AND tallymark.type_names_hold(v_counts)) IS NOT TRUE
    THEN
      RETURN false;
    END IF;
  END LOOP;
  RETURN true;
END
$$;

COMMENT ON FUNCTION tallymark.type_counts_hold(jsonb) IS
'Tells whether foundByType, failedByType, skippedByType and totalsByType of an update keep to the wire protocol: objects of
at most 200 whole numbers, as itemsByType is.
Arguments: payload: the update.
Returns: true or false; true where it has none of them.';

REVOKE ALL ON FUNCTION tallymark.type_counts_hold(jsonb) FROM PUBLIC;
