-- Gives the key by which an update counts once.

CREATE OR REPLACE FUNCTION tallymark.update_key(payload jsonb, canonical text) RETURNS text
LANGUAGE sql VOLATILE PARALLEL SAFE
RETURN CASE
  WHEN payload ? 'updateId' THEN '=' || (payload ->> 'updateId')
  WHEN payload ? 'timestamp' THEN '#' || encode(substr(sha256(convert_to(canonical, 'UTF8')), 1, 16), 'hex')
  ELSE '~' || gen_random_uuid()
END;

COMMENT ON FUNCTION tallymark.update_key(jsonb, text) IS
'Gives the key by which an update counts once on its job. The first character tells the kinds of keys apart; the key of
an operator''s command is ! and the number of its event.
Arguments: payload: the update without nulls; canonical: the text of the update as it came, as jsonb writes it.
Returns: = and the updateId; without an updateId, # and 128 bits of the SHA-256 (FIPS 180-4) of the canonical text, in
hexadecimal; without a timestamp as well, ~ and a random UUID, so that nothing is taken for a duplicate.';

REVOKE ALL ON FUNCTION tallymark.update_key(jsonb, text) FROM PUBLIC;
