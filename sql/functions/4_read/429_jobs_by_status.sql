-- Counts the jobs of each status.

CREATE OR REPLACE FUNCTION tallymark.jobs_by_status(id_prefix text DEFAULT NULL, at_most integer DEFAULT NULL)
RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_custom_plan
AS $$
DECLARE
  -- queued, and the statuses that job_status gives.
  c_statuses CONSTANT text[] := '{queued,running,waiting,paused,finished,failed,cancelled,credential_expired,
    waiting_credential_renewal,credential_renewed}'::text[];
  v_most CONSTANT bigint := CASE WHEN jobs_by_status.at_most IS NOT NULL THEN greatest(jobs_by_status.at_most, 0) END;
  v_status text;
  v_jobs bigint;
  v_counts jsonb := '{}'::jsonb;
  v_total bigint := 0;
  v_more boolean := false;
BEGIN
  FOREACH v_status IN ARRAY c_statuses LOOP
    SELECT count(*) INTO v_jobs FROM (
      SELECT j.id FROM tallymark.job AS j
      WHERE j.status = v_status AND (jobs_by_status.id_prefix IS NULL OR starts_with(j.id, jobs_by_status.id_prefix))
      LIMIT v_most + 1) AS n;
    v_counts := v_counts || jsonb_build_object(v_status,
      jsonb_build_object('jobs', least(v_jobs, v_most), 'more', coalesce(v_jobs > v_most, false)));
    v_total := v_total + least(v_jobs, v_most);
    v_more := v_more OR coalesce(v_jobs > v_most, false);
  END LOOP;
  RETURN jsonb_build_object('statuses', v_counts, 'jobs', v_total, 'more', v_more);
END
$$;

COMMENT ON FUNCTION tallymark.jobs_by_status(text, integer) IS
'Counts the jobs of each status.
Arguments: id_prefix: only jobs whose ids begin with this, null for all; at_most: count up to this many jobs of each
status, null for no limit.
Returns: {"statuses": {"queued": {"jobs", "more": whether there are more than were counted}, and so on for each
status}, "jobs": the sum, "more": whether any status has more}.
Callers: tallymark_reader, tallymark_admin.
Cost: reads the entries of job_status_idx that are counted.';

REVOKE ALL ON FUNCTION tallymark.jobs_by_status(text, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.jobs_by_status(text, integer) TO tallymark_reader, tallymark_admin;
