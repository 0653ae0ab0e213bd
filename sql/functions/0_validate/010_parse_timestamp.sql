-- Reads an ISO 8601 date and time.

CREATE OR REPLACE FUNCTION tallymark.parse_timestamp(value text) RETURNS timestamptz
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  -- The form that nearly all crawlers use, limited to days that every month has: the cast cannot fail.
  c_plain CONSTANT text := '^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])'
    'T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]([.][0-9]{1,9})?(Z|[+]00:00)$';
  c_iso_8601 CONSTANT text := '^[0-9]{4}-[0-9]{2}-[0-9]{2}'
    '([Tt ][0-9]{2}:[0-9]{2}(:[0-9]{2}([.,][0-9]{1,9})?)?([Zz]|[+-][0-9]{2}(:?[0-9]{2})?)?)?$';
  v_value text := parse_timestamp.value;
BEGIN
  -- The cast accepts far more than ISO 8601 ('tomorrow', '1/2/2025'), so the form is checked first. A block that
  -- catches errors starts a subtransaction; most updates need not pay for that.
  IF v_value ~ c_plain AND NOT starts_with(v_value, '0000') THEN
    RETURN v_value::timestamptz;
  END IF;
  IF v_value !~ c_iso_8601 THEN
    RETURN NULL;
  END IF;
  v_value := replace(v_value, ',', '.');
  IF length(v_value) = 10 THEN
    v_value := v_value || ' 00:00Z';
  ELSIF substr(v_value, 17) !~ '[Zz+-]' THEN
    v_value := v_value || 'Z';
  END IF;
  BEGIN
    -- An offset can move the year 1 to 1 BC, which ISO 8601 cannot write in four digits.
    RETURN CASE WHEN v_value::timestamptz >= '0001-01-01 00:00Z' THEN v_value::timestamptz END;
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
