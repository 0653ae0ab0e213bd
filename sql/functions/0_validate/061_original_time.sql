-- Reads a time of the original, in the forms in which JavaScript writes one.

CREATE OR REPLACE FUNCTION tallymark.original_time(value jsonb) RETURNS timestamptz
LANGUAGE plpgsql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  RETURN CASE jsonb_typeof(original_time.value)
    WHEN 'string' THEN tallymark.parse_timestamp(original_time.value #>> '{}')
    -- What Date.now() gives, from 1973 to 9999. Smaller numbers may be seconds or anything else.
    WHEN 'number' THEN CASE WHEN original_time.value::numeric BETWEEN 1e11 AND 253402300799999
      THEN to_timestamp((original_time.value::numeric / 1000)::double precision) END
  END;
END
$$;

COMMENT ON FUNCTION tallymark.original_time(jsonb) IS
'Reads a time of the original: an ISO 8601 text as parse_timestamp takes it, or milliseconds since 1970.
Returns: the instant; null where the value is neither.';

REVOKE ALL ON FUNCTION tallymark.original_time(jsonb) FROM PUBLIC;
