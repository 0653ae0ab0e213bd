-- The key by which an update counts once.

CREATE OR REPLACE FUNCTION tallymark.update_key(payload jsonb, canonical text) RETURNS text
LANGUAGE plpgsql VOLATILE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF update_key.payload ? 'updateId' THEN
    RETURN '=' || (update_key.payload ->> 'updateId');
  ELSIF update_key.payload ? 'timestamp' THEN
    RETURN '#' || encode(substr(sha256(convert_to(update_key.canonical, 'UTF8')), 1, 16), 'hex');
  END IF;
  RETURN '~' || gen_random_uuid();
END
$$;

COMMENT ON FUNCTION tallymark.update_key(jsonb, text) IS
'The key by which an update counts once on its job. Its first character keeps the kinds apart; an
operator''s command has ! and its number.
Arguments: payload, the update, without nulls; canonical, the text of the update as it was given, as jsonb writes it.
Returns: = and the updateId; or, where there is none, # and 128 bits of the SHA-256 (FIPS 180-4) of the canonical text,
in hexadecimal; or, where there is no timestamp either, ~ and a random UUID, so that nothing is taken for a duplicate.';

REVOKE ALL ON FUNCTION tallymark.update_key(jsonb, text) FROM PUBLIC;
