-- What is kept of the key of an update whose event was pruned.

CREATE OR REPLACE FUNCTION tallymark.key_digest(key text) RETURNS bytea
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN substr(sha256(convert_to(key, 'UTF8')), 1, 16);

COMMENT ON FUNCTION tallymark.key_digest(text) IS
'What is kept of the key of an update whose event was pruned: 128 bits of its SHA-256, whatever its length.
Arguments: key, as update_key gives it.
Returns: 16 bytes. That two keys of a job had the same would take some 2^64 of them.';

REVOKE ALL ON FUNCTION tallymark.key_digest(text) FROM PUBLIC;
