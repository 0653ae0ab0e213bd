-- Verifies the next jobs among those that have changed since they were last verified.

CREATE OR REPLACE FUNCTION tallymark.verify_next_jobs(
  after_id text DEFAULT '', most_events bigint DEFAULT 20000, max_jobs integer DEFAULT 1000,
  again_after interval DEFAULT '1 day'
) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_custom_plan
AS $$
DECLARE
  c_too_many CONSTANT bigint := 1000000;
  v_unchanged CONSTANT timestamptz := clock_timestamp() - verify_next_jobs.again_after;
  v_job record;
  v_last text;
  v_looked_at bigint := 0;
  v_checked bigint := 0;
  v_skipped bigint := 0;
  v_events bigint := 0;
  v_differing text[] := '{}';
BEGIN
  FOR v_job IN
    SELECT j.id, j.last_seq - j.pruned_seq AS events, j.last_seq IS DISTINCT FROM c.events OR NOT c.exact
        OR c.checked_at < v_unchanged AS is_due
    FROM tallymark.job AS j LEFT JOIN tallymark.job_check AS c ON c.job_id = j.id
    WHERE j.id > verify_next_jobs.after_id COLLATE "C"
    ORDER BY j.id LIMIT least(greatest(coalesce(verify_next_jobs.max_jobs, 1000), 1), 10000)
  LOOP
    -- At least one job, however long its ledger, so that each call makes progress.
    EXIT WHEN v_job.is_due AND v_checked > 0 AND v_events + v_job.events > verify_next_jobs.most_events;
    v_last := v_job.id;
    v_looked_at := v_looked_at + 1;
    IF v_job.is_due AND v_job.events > c_too_many THEN
      v_skipped := v_skipped + 1;
    ELSIF v_job.is_due THEN
      v_checked := v_checked + 1;
      v_events := v_events + v_job.events;
      IF NOT tallymark.note_verification(v_job.id) THEN
        v_differing := v_differing || v_job.id;
      END IF;
    END IF;
  END LOOP;
  RETURN jsonb_build_object('checked', v_checked, 'differing', to_jsonb(v_differing), 'skipped', v_skipped,
    'next', CASE WHEN EXISTS (SELECT 1 FROM tallymark.job AS j WHERE j.id > v_last) THEN v_last END);
END
$$;

COMMENT ON FUNCTION tallymark.verify_next_jobs(text, bigint, integer, interval) IS
'Verifies the next jobs in the order of their ids and stores each outcome (see note_verification). Jobs are due that
have changed since they were last verified, that differed then, or whose verification is older than again_after.
Arguments: after_id: the id after which to begin; most_events: how many events are read in all, unless the first due
job has more; max_jobs: how many jobs are looked at, 1 to 10000, null for 1000; again_after: after how long an
unchanged job is verified again, null for never.
Returns: {"checked": how many jobs were verified, "differing": [ids], "skipped": how many due jobs have more than
1000000 events, "next": the after_id of the next call, null where it is time to begin again from the first job}.
Callers: tallymark_admin.';

REVOKE ALL ON FUNCTION tallymark.verify_next_jobs(text, bigint, integer, interval) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.verify_next_jobs(text, bigint, integer, interval) TO tallymark_admin;
