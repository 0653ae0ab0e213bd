-- Whether a JSON value holds a number that is short to keep and long to write, found by looking at each.

CREATE OR REPLACE FUNCTION tallymark.has_long_number(value jsonb) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  RETURN EXISTS (
    SELECT FROM jsonb_path_query(has_long_number.value, 'strict $.** ? (@.type() == "number")') AS n (number)
    WHERE abs(n.number::numeric) > 1e308 OR scale(n.number::numeric) > 400);
END
$$;

COMMENT ON FUNCTION tallymark.has_long_number(jsonb) IS
'Whether a JSON value holds, however deep inside, a number beyond 1e308, which JSON readers with IEEE 754 doubles cannot
hold (RFC 8259, section 6), or one with more than 400 decimal places, which is more than any double needs to be told
from 0.
Arguments: value.
Returns: true or false; false for null.';

REVOKE ALL ON FUNCTION tallymark.has_long_number(jsonb) FROM PUBLIC;
