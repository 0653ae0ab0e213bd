-- Lists the jobs that failed last.

CREATE OR REPLACE FUNCTION tallymark.recent_failures(
  since timestamptz DEFAULT NULL, max_jobs integer DEFAULT 20, id_prefix text DEFAULT NULL
) RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_custom_plan
AS $$
DECLARE
  v_since CONSTANT timestamptz := coalesce(recent_failures.since, statement_timestamp() - interval '24 hours');
  v_job tallymark.job;
  v_jobs jsonb[] := '{}'::jsonb[];
BEGIN
  FOR v_job IN
    SELECT j.* FROM tallymark.job AS j
    WHERE j.status = 'failed' AND j.finished_at >= v_since
      AND (recent_failures.id_prefix IS NULL OR starts_with(j.id, recent_failures.id_prefix))
    ORDER BY j.finished_at DESC, j.id
    LIMIT least(greatest(coalesce(recent_failures.max_jobs, 20), 0), 1000)
  LOOP
    v_jobs := v_jobs || tallymark.job_row(v_job);
  END LOOP;
  RETURN jsonb_build_object('jobs', to_jsonb(v_jobs));
END
$$;

COMMENT ON FUNCTION tallymark.recent_failures(timestamptz, integer, text) IS
'Lists the jobs that failed last and have not been restarted.
Arguments: since: only jobs that failed at or after this instant, by the crawlers'' clocks, null for the last 24 hours;
max_jobs: how many jobs at most, 0 to 1000, null for 20; id_prefix: only jobs whose ids begin with this, null for all.
Returns: {"jobs": [as newest_jobs gives them]}, the last failure first.
Callers: tallymark_reader, tallymark_admin.
Cost: reads the jobs that are returned (job_failed_idx); with id_prefix all failures since then.';

REVOKE ALL ON FUNCTION tallymark.recent_failures(timestamptz, integer, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.recent_failures(timestamptz, integer, text) TO tallymark_reader, tallymark_admin;
