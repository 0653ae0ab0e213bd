-- Tells how often a job is reported on.

CREATE OR REPLACE FUNCTION tallymark.update_frequency(job_id text, max_updates integer DEFAULT 100)
RETURNS TABLE (
  updates bigint, per_minute numeric, median_gap interval, long_gap interval, last_update timestamptz
)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF NOT EXISTS (SELECT 1 FROM tallymark.job AS j WHERE j.id = update_frequency.job_id) THEN
    PERFORM tallymark.refuse_unknown_job(update_frequency.job_id);
  END IF;
  RETURN QUERY
  SELECT count(*),
    round((count(*) - 1) * 60 / nullif(extract(epoch FROM max(g.recorded_at) - min(g.recorded_at)), 0), 3),
    percentile_cont(0.5) WITHIN GROUP (ORDER BY g.gap), percentile_cont(0.95) WITHIN GROUP (ORDER BY g.gap),
    max(g.recorded_at)
  FROM (
    -- The silence after any other update, such as paused or waiting, was expected, and says nothing about the habit.
    SELECT n.recorded_at, CASE WHEN lag(n.runs) OVER (ORDER BY n.seq)
      THEN n.recorded_at - lag(n.recorded_at) OVER (ORDER BY n.seq) END AS gap
    FROM (
      SELECT e.seq, e.recorded_at, e.payload @> '{"status": "processing"}'
        OR tallymark.job_status(tallymark.update_status(e.payload)) = 'running' AS runs
      FROM tallymark.job_event AS e
      WHERE e.job_id = update_frequency.job_id AND e.payload IS NOT NULL
        -- An import makes two updates at the same moment. That is not the habit of a crawler.
        AND e.update_key IS DISTINCT FROM '=import-original'
      ORDER BY e.seq DESC LIMIT least(greatest(coalesce(update_frequency.max_updates, 100), 0), 10000)
    ) AS n
  ) AS g;
END
$$;

COMMENT ON FUNCTION tallymark.update_frequency(text, integer) IS
'Tells how often a job is reported on, from its newest updates and by the time of recording, on the server''s clock.
Arguments: job_id: a registered job; max_updates: how many of the newest updates to look at, 0 to 10000, null for 100.
Returns: one row: updates (how many there were); per_minute (null where all came at once or there are fewer than 2);
median_gap and long_gap (the median and the 95th percentile of the time from an update of a running job to the next one,
null where there is none); last_update (null where there was none).
Errors: TK404 where there is no such job; TK400 where job_id is null, empty or too long.
Callers: tallymark_reader, tallymark_admin.
Cost: reads only these updates.';

REVOKE ALL ON FUNCTION tallymark.update_frequency(text, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.update_frequency(text, integer) TO tallymark_reader, tallymark_admin;
