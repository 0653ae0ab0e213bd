-- When a field of a job was given that holds now.

CREATE OR REPLACE FUNCTION tallymark.field_clock(job tallymark.job, field text) RETURNS timestamptz
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  RETURN CASE WHEN field_clock.field = ANY (job.newest_fields) THEN job.newest_at
    ELSE to_timestamp(0) + (job.clocks -> field_clock.field ->> 0)::bigint * interval '1 microsecond' END;
END
$$;

COMMENT ON FUNCTION tallymark.field_clock(tallymark.job, text) IS
'When the update happened that gave a newest-wins field of a job its value.
Arguments: job, the state; field, its name.
Returns: the time; null where no update gave it.';

REVOKE ALL ON FUNCTION tallymark.field_clock(tallymark.job, text) FROM PUBLIC;
