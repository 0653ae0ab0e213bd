-- Gives what is stored of the key of an item.

CREATE OR REPLACE FUNCTION tallymark.item_digest(key text) RETURNS bytea
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN substr(sha256(convert_to(key, 'UTF8')), 1, 16);

COMMENT ON FUNCTION tallymark.item_digest(text) IS
'Gives what is stored of the key of an item: 128 bits of its SHA-256 (FIPS 180-4). A collision within a job is to be
expected only among some 2^64 keys.
Arguments: key: as the crawler sends it.
Returns: 16 bytes.';

REVOKE ALL ON FUNCTION tallymark.item_digest(text) FROM PUBLIC;
