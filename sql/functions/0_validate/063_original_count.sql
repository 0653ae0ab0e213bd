-- Reads a count of the original, which may be a number in a text.

CREATE OR REPLACE FUNCTION tallymark.original_count(value jsonb) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  v_count jsonb := original_count.value;
BEGIN
  IF jsonb_typeof(v_count) = 'string' AND v_count #>> '{}' ~ '^\s*[0-9]{1,16}(\.0{0,16})?\s*$' THEN
    v_count := to_jsonb(substring(v_count #>> '{}' FROM '[0-9]+')::numeric);
  END IF;
  -- processedItems stands for any count.
  RETURN CASE WHEN jsonb_typeof(v_count) = 'number'
    AND tallymark.is_valid_update('', jsonb_build_object('processedItems', v_count)) THEN v_count END;
END
$$;

COMMENT ON FUNCTION tallymark.original_count(jsonb) IS
'Reads a count of the original: a whole number as the wire protocol has it, or a text that is one.
Returns: the number as JSON; null where the value is neither.';

REVOKE ALL ON FUNCTION tallymark.original_count(jsonb) FROM PUBLIC;
