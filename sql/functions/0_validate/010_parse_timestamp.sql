-- Reads an ISO 8601 date and time. PARALLEL UNSAFE, and so are its callers: not every version of PostgreSQL allows the
-- subtransaction of a block that catches errors while a query runs in parallel.

CREATE OR REPLACE FUNCTION tallymark.parse_timestamp(value text) RETURNS timestamptz
LANGUAGE plpgsql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  v_instant timestamptz;
BEGIN
  -- The cast accepts far more than ISO 8601 ('tomorrow', '1/2/2025'), so the form is checked first. Here are the forms
  -- of nearly all crawlers, with 9 for any digit: a regular expression takes more time than all the rest.
  IF translate(parse_timestamp.value, '012345678', '999999999') NOT IN ('9999-99-99T99:99:99.999999+99:99',
    '9999-99-99T99:99:99.999Z', '9999-99-99T99:99:99+99:99', '9999-99-99T99:99:99Z', '9999-99-99T99:99:99.999999Z')
  THEN
    IF parse_timestamp.value !~ ('^[0-9]{4}-[0-9]{2}-[0-9]{2}'
      '([Tt ][0-9]{2}:[0-9]{2}(:[0-9]{2}([.,][0-9]{1,9})?)?([Zz]|[+-][0-9]{2}(:?[0-9]{2})?)?)?$')
    THEN
      RETURN NULL;
    END IF;
    parse_timestamp.value := replace(parse_timestamp.value, ',', '.');
    IF length(parse_timestamp.value) = 10 THEN
      parse_timestamp.value := parse_timestamp.value || ' 00:00Z';
    ELSIF substr(parse_timestamp.value, 17) !~ '[Zz+-]' THEN
      parse_timestamp.value := parse_timestamp.value || 'Z';
    END IF;
  END IF;
  BEGIN
    v_instant := parse_timestamp.value::timestamptz;
    -- An offset can move the year 1 to 1 BC, which ISO 8601 cannot write in four digits.
    RETURN CASE WHEN v_instant >= '0001-01-01 00:00Z' THEN v_instant END;
  EXCEPTION WHEN datetime_field_overflow OR invalid_datetime_format OR invalid_time_zone_displacement_value THEN
    RETURN NULL; -- such as 30 February, or hour 25
  END;
END
$$;

COMMENT ON FUNCTION tallymark.parse_timestamp(text) IS
'Reads a date and time in the extended format of ISO 8601, such as 2025-01-06T19:15:30.000Z.
Arguments: value: a date, or a date and a time with T or a space between them. Seconds, their fraction (kept to the
microsecond) and the offset from UTC may be left out. Without an offset the time is in UTC; a date alone means its
midnight.
Returns: the instant; null where the text is not such a date and time, names a day or an hour that does not exist, or
is null.';

REVOKE ALL ON FUNCTION tallymark.parse_timestamp(text) FROM PUBLIC;
