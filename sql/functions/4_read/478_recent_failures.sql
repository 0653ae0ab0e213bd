-- The jobs that failed last.

CREATE OR REPLACE FUNCTION tallymark.recent_failures(
  since timestamptz DEFAULT NULL, max_jobs integer DEFAULT 20, id_prefix text DEFAULT NULL
) RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_custom_plan
AS $$
DECLARE
  v_since CONSTANT timestamptz := coalesce(recent_failures.since, statement_timestamp() - interval '1 day');
BEGIN
  RETURN jsonb_build_object('jobs', coalesce((
    SELECT jsonb_agg(tallymark.job_row(f.job) ORDER BY (f.job).finished_at DESC, (f.job).id)
    FROM (
      SELECT j AS job FROM tallymark.job AS j
      WHERE j.status = 'failed' AND j.finished_at >= v_since
        AND (recent_failures.id_prefix IS NULL OR starts_with(j.id, recent_failures.id_prefix))
      ORDER BY j.finished_at DESC, j.id
      LIMIT least(greatest(coalesce(recent_failures.max_jobs, 20), 0), 1000)
    ) AS f), '[]'));
END
$$;

COMMENT ON FUNCTION tallymark.recent_failures(timestamptz, integer, text) IS
'The jobs that failed last, and have not been heard of since.
Arguments: since, only those that failed at or after this instant, by the crawlers'' clocks, null for the last 24 hours;
max_jobs, at most 1000, null for 20; id_prefix, only jobs whose id begins like this, null for all.
Returns: {"jobs": [as job_row gives them]}, the last one first.
Cost: that of the jobs returned (job_failed_idx); with id_prefix that of all failures since then.';

REVOKE ALL ON FUNCTION tallymark.recent_failures(timestamptz, integer, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.recent_failures(timestamptz, integer, text) TO tallymark_reader, tallymark_admin;
