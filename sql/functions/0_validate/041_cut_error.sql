-- Cuts the error of an update to what the ledger keeps.

CREATE OR REPLACE FUNCTION tallymark.cut_error(error jsonb) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  c_most_bytes CONSTANT integer := 8192;
  v_bytes integer := 3072;
  v_cut jsonb;
  v_member text;
  v_value jsonb;
BEGIN
  IF octet_length(cut_error.error #>> '{}') <= c_most_bytes THEN
    RETURN cut_error.error;
  END IF;
  IF jsonb_typeof(cut_error.error) = 'string' THEN
    RETURN to_jsonb(tallymark.cut_text(cut_error.error #>> '{}', c_most_bytes));
  END IF;
  -- The most telling members come first, cut shorter where JSON's escapes make them longer; another member that does
  -- not fit is left out.
  LOOP
    v_cut := tallymark.without_nulls(jsonb_build_object(
      'type', left(cut_error.error ->> 'type', 200),
      'code', left(cut_error.error ->> 'code', 200),
      'message', tallymark.cut_text(cut_error.error ->> 'message', v_bytes),
      'stack', tallymark.cut_text(cut_error.error ->> 'stack', v_bytes)));
    EXIT WHEN octet_length(v_cut::text) <= c_most_bytes;
    v_bytes := v_bytes / 2;
  END LOOP;
  FOR v_member, v_value IN
    SELECT e.key, e.value FROM jsonb_each(cut_error.error) AS e
    WHERE e.key NOT IN ('type', 'code', 'message', 'stack')
    ORDER BY e.key <> 'context', e.key
    LIMIT 1000
  LOOP
    IF octet_length(v_cut::text) + octet_length(jsonb_build_object(v_member, v_value)::text) <= c_most_bytes THEN
      v_cut := v_cut || jsonb_build_object(v_member, v_value);
    END IF;
  END LOOP;
  RETURN v_cut;
END
$$;

COMMENT ON FUNCTION tallymark.cut_error(jsonb) IS
'Cuts the error of an update to 8 KB: a string by its bytes, an object by the bytes of its JSON.
Arguments: error: a JSON string or object.
Returns: the error itself where it is short enough; the first 8192 bytes of a string; of an object type and code (200
characters each), message and stack (3072 bytes each, or less), and as many of its other members as fit, context
first.';

REVOKE ALL ON FUNCTION tallymark.cut_error(jsonb) FROM PUBLIC;
