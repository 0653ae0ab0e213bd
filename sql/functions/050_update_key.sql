-- The key by which an update counts once.

CREATE OR REPLACE FUNCTION tallymark.update_key(payload jsonb, canonical text) RETURNS text
LANGUAGE sql VOLATILE PARALLEL SAFE
RETURN CASE
  WHEN payload ->> 'updateId' IS NOT NULL THEN '=' || (payload ->> 'updateId')
  WHEN payload ->> 'timestamp' IS NOT NULL
    THEN '#' || encode(substr(sha256(convert_to(canonical, 'UTF8')), 1, 16), 'hex')
  ELSE '~' || gen_random_uuid()::text
END;

COMMENT ON FUNCTION tallymark.update_key(jsonb, text) IS
'The key by which an update counts once on its job. Its first character keeps the three kinds apart.
Arguments: payload, the update; canonical, the text of the update as it was given, as jsonb writes it.
Returns: = and the updateId; or, where there is none, # and 128 bits of the SHA-256 (FIPS 180-4) of the canonical text,
in hexadecimal; or, where there is no timestamp either, ~ and a random UUID, so that nothing is taken for a duplicate.';

REVOKE ALL ON FUNCTION tallymark.update_key(jsonb, text) FROM PUBLIC;
