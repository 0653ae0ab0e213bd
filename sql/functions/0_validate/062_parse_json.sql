-- Reads JSON that was stored as a text.

CREATE OR REPLACE FUNCTION tallymark.parse_json(value text) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  RETURN parse_json.value::jsonb;
EXCEPTION WHEN data_exception OR program_limit_exceeded THEN
  -- No JSON, a character that jsonb cannot hold, a number that is too large, or nesting that is too deep.
  RETURN NULL;
END
$$;

COMMENT ON FUNCTION tallymark.parse_json(text) IS
'Reads JSON that was stored as a text.
Returns: the JSON; null where the text is none, or is null.';

REVOKE ALL ON FUNCTION tallymark.parse_json(text) FROM PUBLIC;
