-- Finds running jobs that have been silent for too long.

CREATE OR REPLACE FUNCTION tallymark.stalled_jobs(
  factor numeric DEFAULT 3, least_silence interval DEFAULT '1 minute', unknown_habit interval DEFAULT '15 minutes',
  id_prefix text DEFAULT NULL, max_jobs integer DEFAULT 1000, as_of timestamptz DEFAULT NULL
) RETURNS TABLE (id text, last_update timestamptz, silent interval, allowed interval, long_gap interval)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_custom_plan
AS $$
DECLARE
  c_most_looks CONSTANT integer := 10000;
  v_now CONSTANT timestamptz := coalesce(stalled_jobs.as_of, statement_timestamp());
BEGIN
  RETURN QUERY
  SELECT j.id, f.last_update, v_now - f.last_update, a.allowed, f.long_gap
  FROM (
    -- The habit is computed only for jobs silent for least_silence, in this order until there are enough.
    SELECT r.id, r.updated_at FROM tallymark.job AS r
    WHERE r.status = 'running' AND r.updated_at < v_now - stalled_jobs.least_silence
      AND (stalled_jobs.id_prefix IS NULL OR starts_with(r.id, stalled_jobs.id_prefix))
    ORDER BY r.updated_at, r.id
    LIMIT c_most_looks
  ) AS j
  CROSS JOIN LATERAL tallymark.update_frequency(j.id, 50) AS f
  CROSS JOIN LATERAL (SELECT greatest(stalled_jobs.least_silence,
    coalesce(f.long_gap * stalled_jobs.factor::double precision, stalled_jobs.unknown_habit)) AS allowed) AS a
  WHERE v_now - f.last_update > a.allowed
  ORDER BY j.updated_at, j.id
  LIMIT least(greatest(coalesce(stalled_jobs.max_jobs, 1000), 0), 10000);
END
$$;

COMMENT ON FUNCTION tallymark.stalled_jobs(numeric, interval, interval, text, integer, timestamptz) IS
'Finds running jobs without an update for longer than their own habit allows: longer than factor times the 95th
percentile of the time between their newest 50 updates, and at least least_silence.
Arguments: factor: see above; least_silence: see above; unknown_habit: how long a job with fewer than 2 updates may be
silent; id_prefix: only jobs whose ids begin with this, null for all; max_jobs: how many jobs at most, 0 to 10000,
null for 1000; as_of: the moment for which to answer, null for now.
Returns: rows, the longest silent first: id; last_update (by the server''s clock); silent (for how long); allowed (how
long it may be); long_gap (that percentile, null where there is none).
Callers: tallymark_reader, tallymark_admin.
Cost: looks at each running job (by job_status_idx), and at 50 updates of each that has been silent for least_silence,
until there are max_jobs. Of more than 10000 such jobs only the 10000 longest silent ones are looked at.';

REVOKE ALL ON FUNCTION tallymark.stalled_jobs(numeric, interval, interval, text, integer, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.stalled_jobs(numeric, interval, interval, text, integer, timestamptz)
  TO tallymark_reader, tallymark_admin;
