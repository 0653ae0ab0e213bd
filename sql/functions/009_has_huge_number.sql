-- Whether a JSON value holds a number that no double can. PostgreSQL keeps 1e131071 in ten bytes and writes it in
-- 131,072: a small body of such numbers would take gigabytes as text, so this is asked before anything is written.

CREATE OR REPLACE FUNCTION tallymark.has_huge_number(value jsonb) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN jsonb_path_exists(value, '$.** ? (@ > 1e308 || @ < -1e308)');

COMMENT ON FUNCTION tallymark.has_huge_number(jsonb) IS
'Whether a JSON value holds, however deep inside, a number beyond 1e308, which JSON readers with IEEE 754 doubles cannot
hold (RFC 8259, section 6).
Arguments: value.
Returns: true or false; null for null.';

REVOKE ALL ON FUNCTION tallymark.has_huge_number(jsonb) FROM PUBLIC;
