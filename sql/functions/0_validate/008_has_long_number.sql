-- Tells whether a JSON value holds a number that takes few bytes to store and very many to write out.

CREATE OR REPLACE FUNCTION tallymark.has_long_number(value jsonb) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  RETURN EXISTS (
    SELECT FROM jsonb_path_query(has_long_number.value,
      -- Strict, because the lax mode would unwrap arrays.
      'strict $.**{0 to 1001} ? (@.type() == "number" && (@ > 1e308 || @ < -1e308 || (@ < 1e-300 && @ > -1e-300)))')
      AS n (number)
    WHERE abs(n.number::numeric) > 1e308 OR scale(n.number::numeric) > 400);
END
$$;

COMMENT ON FUNCTION tallymark.has_long_number(jsonb) IS
'Tells whether a JSON value holds, at any depth, a number beyond 1e308, which JSON readers with IEEE 754 doubles cannot
hold (RFC 8259, section 6), or a number within 1e-300 of 0 with more than 400 decimal places, which a double cannot
tell from 0.
Returns: true or false; false for null.';

REVOKE ALL ON FUNCTION tallymark.has_long_number(jsonb) FROM PUBLIC;
