-- Finds jobs that have been silent for too long.

CREATE OR REPLACE FUNCTION tallymark.stalled_jobs(
  factor numeric DEFAULT 3, least_silence interval DEFAULT '1 minute', unknown_habit interval DEFAULT '15 minutes',
  id_prefix text DEFAULT NULL, max_jobs integer DEFAULT 1000, as_of timestamptz DEFAULT NULL,
  never_reported interval DEFAULT '1 hour'
) RETURNS TABLE (
  id text, last_update timestamptz, silent interval, allowed interval, long_gap interval, state text, since timestamptz,
  alive_at timestamptz, wait_until timestamptz, reason text
)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_custom_plan
AS $$
DECLARE
  c_most_looks CONSTANT integer := 10000;
  v_most CONSTANT integer := least(greatest(coalesce(stalled_jobs.max_jobs, 1000), 0), 10000);
  v_now CONSTANT timestamptz := coalesce(stalled_jobs.as_of, statement_timestamp());
  v_never CONSTANT interval := coalesce(stalled_jobs.never_reported, '1 hour');
  v_found bigint := 0;
  v_ids text[];
  v_id text;
  v_job tallymark.job;
  v_silence record;
BEGIN
  -- The habit is computed only for jobs silent for least_silence, in this order until there are enough.
  v_ids := ARRAY(
    SELECT r.id FROM tallymark.job AS r
    WHERE r.status IN ('running', 'waiting') AND r.updated_at < v_now - stalled_jobs.least_silence
      AND (stalled_jobs.id_prefix IS NULL OR starts_with(r.id, stalled_jobs.id_prefix))
    ORDER BY r.updated_at, r.id
    LIMIT c_most_looks);
  IF to_regclass('pg_catalog.pg_dist_partition') IS NULL THEN -- a node may have to plan each query by itself
    PERFORM set_config('plan_cache_mode', 'auto', true); -- what follows is the same for each job
  END IF;
  FOREACH v_id IN ARRAY v_ids LOOP
    EXIT WHEN v_found = v_most;
    SELECT j.* INTO v_job FROM tallymark.job AS j WHERE j.id = v_id;
    SELECT s.* INTO v_silence FROM tallymark.job_silence(
      v_job, v_now, stalled_jobs.factor, stalled_jobs.least_silence, stalled_jobs.unknown_habit) AS s;
    IF v_silence.state IN ('stuck', 'silent') THEN
      v_found := v_found + 1;
      stalled_jobs.id := v_id;
      stalled_jobs.last_update := v_silence.last_update;
      stalled_jobs.silent := v_now - v_silence.last_update;
      stalled_jobs.allowed := v_silence.allowed;
      stalled_jobs.long_gap := v_silence.long_gap;
      stalled_jobs.state := v_silence.state;
      stalled_jobs.since := v_silence.since;
      stalled_jobs.alive_at := v_job.alive_at;
      stalled_jobs.wait_until := v_silence.wait_until;
      stalled_jobs.reason := tallymark.current_wait(v_job) ->> 'reason';
      RETURN NEXT;
    END IF;
  END LOOP;
  IF v_found < v_most AND v_never > '0' THEN
    -- These come after the others, and only fill up the list: many jobs may be registered long before they start.
    RETURN QUERY
    SELECT j.id, j.updated_at, v_now - j.created_at, v_never, NULL::interval, 'never_reported', j.created_at, j.alive_at,
      NULL::timestamptz, NULL
    FROM tallymark.job AS j
    WHERE j.status = 'queued' AND j.created_at < v_now - v_never
      AND (stalled_jobs.id_prefix IS NULL OR starts_with(j.id, stalled_jobs.id_prefix))
    ORDER BY j.created_at DESC, j.id
    LIMIT v_most - v_found;
  END IF;
END
$$;

COMMENT ON FUNCTION tallymark.stalled_jobs(numeric, interval, interval, text, integer, timestamptz, interval) IS
'Finds jobs that are stalled: those that run or wait and have had no update for longer than their own habit allows, and
those that were registered and never reported on. The habit allows factor times the 95th percentile of the time between
the newest 50 updates, and at least least_silence. For a waiting job, the silence begins at the end of its wait. A job
that is paused, has ended, or needs credentials is never stalled.
Arguments: factor: see above; least_silence: see above; unknown_habit: how long a job with fewer than 2 updates may be
silent; id_prefix: only jobs whose ids begin with this, null for all; max_jobs: how many jobs at most, 0 to 10000,
null for 1000; as_of: the moment for which to answer, null for now; never_reported: how long after its registration
the first update is due, 0 for never, null for an hour.
Returns: rows, first the running and waiting jobs, the longest silent first, then those that were never reported on,
the newest first: id; last_update (by the server''s clock; when it was registered where there was none); silent (for how
long); allowed (how long it may be); long_gap (that percentile, null where there is none); state (stuck: signs of life
come and updates do not; silent: neither comes; never_reported); since (from when on the silence counts); alive_at (the
last sign of life, or null); wait_until and reason (of a job that waits, or null).
Callers: tallymark_reader, tallymark_admin.
Cost: looks at each running and each waiting job (by job_status_idx), and at 50 updates of each that has been silent
for least_silence, until there are max_jobs. Of more than 10000 such jobs only the 10000 longest silent ones are looked
at. Then reads as many queued jobs as are still wanted (by job_status_created_idx).';

REVOKE ALL ON FUNCTION tallymark.stalled_jobs(numeric, interval, interval, text, integer, timestamptz, interval)
  FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.stalled_jobs(numeric, interval, interval, text, integer, timestamptz, interval)
  TO tallymark_reader, tallymark_admin;
