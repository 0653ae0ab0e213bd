-- Whether a JSON value must not be looked at any further. PostgreSQL keeps 1e131071, 1e-16383 and 0e-16383 in ten bytes
-- and writes them in up to 131,072: a small body of such numbers would take gigabytes as text. And it reads JSON that
-- is nested more deeply than it can then go into. So this is asked before anything else. Only numbers beyond the usual,
-- or that may be a 0 of many places, are looked at one by one.

CREATE OR REPLACE FUNCTION tallymark.has_huge_number(value jsonb) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN jsonb_path_exists(value, '$.**{0 to 1001} ? (@ > 1e308 || @ < -1e308 || (@ < 1e-300 && @ > -1e-300))')
  THEN tallymark.has_long_number(value) ELSE false END OR jsonb_path_exists(value, '$.**{1001}');

COMMENT ON FUNCTION tallymark.has_huge_number(jsonb) IS
'Whether a JSON value holds a number that must not be written as text, see has_long_number, or is nested more than 1000
levels deep.
Arguments: value.
Returns: true or false; false for null.';

REVOKE ALL ON FUNCTION tallymark.has_huge_number(jsonb) FROM PUBLIC;
