-- Gives what is kept of the key of a pruned update.

CREATE OR REPLACE FUNCTION tallymark.key_digest(key text) RETURNS bytea
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN substr(sha256(convert_to(key, 'UTF8')), 1, 16);

COMMENT ON FUNCTION tallymark.key_digest(text) IS
'Gives what is kept of the key of an update whose event was pruned: 128 bits of its SHA-256. A collision within a job
is to be expected only among some 2^64 keys.
Arguments: key: as update_key gives it.
Returns: 16 bytes.';

REVOKE ALL ON FUNCTION tallymark.key_digest(text) FROM PUBLIC;
