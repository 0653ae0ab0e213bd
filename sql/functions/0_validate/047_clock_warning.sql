-- Warns a crawler whose clock runs ahead.

CREATE OR REPLACE FUNCTION tallymark.clock_warning(now timestamptz) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  RETURN jsonb_build_array(format(
    'timestamp is ahead of the server''s clock, which says %s; the update counts as of now',
    tallymark.iso_timestamp(clock_warning.now)));
END
$$;

COMMENT ON FUNCTION tallymark.clock_warning(timestamptz) IS
'Gives the warning for an update whose timestamp is ahead of the server''s clock.
Arguments: now: the time by the server''s clock.
Returns: an array of one text.';

REVOKE ALL ON FUNCTION tallymark.clock_warning(timestamptz) FROM PUBLIC;
