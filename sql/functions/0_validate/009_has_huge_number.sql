-- Tells whether a JSON value must not be processed any further. PostgreSQL stores 1e131071, 1e-16383 and 0e-16383 in
-- ten bytes and writes them in up to 131,072: a small body full of such numbers would take gigabytes as text. And
-- PostgreSQL reads JSON that is nested more deeply than it can process afterwards. So this check comes before all
-- others. Only numbers outside the usual range, or near 0, are examined one by one.

CREATE OR REPLACE FUNCTION tallymark.has_huge_number(value jsonb) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
-- The first filter excludes most numbers with two comparisons.
RETURN CASE WHEN jsonb_path_match(value, '
    exists($.**{0 to 1001} ? (!(@ <= 1e308 && @ >= 1e-300)) ? (@ > 1e308 || @ < -1e308 || (@ < 1e-300 && @ > -1e-300)))
    || exists($.**{1001})')
  THEN tallymark.has_long_number(value) OR jsonb_path_exists(value, '$.**{1001}') ELSE false END;

COMMENT ON FUNCTION tallymark.has_huge_number(jsonb) IS
'Tells whether a JSON value holds a number that must not be written as text (see has_long_number), or is nested more
than 1000 levels deep.
Returns: true or false; false for null.';

REVOKE ALL ON FUNCTION tallymark.has_huge_number(jsonb) FROM PUBLIC;
