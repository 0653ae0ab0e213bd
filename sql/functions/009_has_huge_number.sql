-- Whether a JSON value holds a number that would be long as text. PostgreSQL keeps 1e131071, 1e-16383 and 0e-16383 in ten
-- bytes and writes them in up to 131,072: a small body of such numbers would take gigabytes as text, so this is asked
-- before anything is written. Only what is beyond the usual, or may be a 0 of many places, is looked at one by one.

CREATE OR REPLACE FUNCTION tallymark.has_huge_number(value jsonb) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN jsonb_path_exists(value, '$.** ? (@ > 1e308 || @ < -1e308 || (@ < 1e-300 && @ > -1e-300))')
  THEN tallymark.has_long_number(value) ELSE false END;

COMMENT ON FUNCTION tallymark.has_huge_number(jsonb) IS
'Whether a JSON value holds, however deep inside, a number that must not be written as text, see has_long_number.
Arguments: value.
Returns: true or false; false for null.';

REVOKE ALL ON FUNCTION tallymark.has_huge_number(jsonb) FROM PUBLIC;
