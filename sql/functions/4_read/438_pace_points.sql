-- Gives how a run went as JSON.

CREATE OR REPLACE FUNCTION tallymark.pace_points(pace tallymark.job_pace) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  RETURN jsonb_build_object('pace', (
    SELECT coalesce(jsonb_agg(jsonb_build_array(trim_scale(round(p.seconds, 3)), p.items) ORDER BY p.place), '[]')
    FROM unnest(pace.at_seconds, pace.items) WITH ORDINALITY AS p (seconds, items, place)));
END
$$;

COMMENT ON FUNCTION tallymark.pace_points(tallymark.job_pace) IS
'Gives how a run went as JSON.
Arguments: pace: what run_pace gives.
Returns: {"pace": [[seconds since the start, items]]}, both ascending.';

REVOKE ALL ON FUNCTION tallymark.pace_points(tallymark.job_pace) FROM PUBLIC;
