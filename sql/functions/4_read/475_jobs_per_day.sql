-- Counts the jobs that ended, day by day.

CREATE OR REPLACE FUNCTION tallymark.jobs_per_day(
  days integer DEFAULT 30, id_prefix text DEFAULT NULL, as_of timestamptz DEFAULT NULL
) RETURNS TABLE (
  day date, finished bigint, failed bigint, cancelled bigint, items numeric, median_duration interval,
  success_rate numeric
)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_custom_plan
AS $$
DECLARE
  v_days CONSTANT integer := least(greatest(coalesce(jobs_per_day.days, 30), 0), 3660);
  v_today CONSTANT date := (coalesce(jobs_per_day.as_of, statement_timestamp()) AT TIME ZONE 'UTC')::date;
  v_from CONSTANT timestamptz := (v_today - v_days + 1)::timestamp AT TIME ZONE 'UTC';
  v_to CONSTANT timestamptz := (v_today + 1)::timestamp AT TIME ZONE 'UTC';
BEGIN
  RETURN QUERY
  SELECT v_today - n.back, coalesce(e.finished, 0), coalesce(e.failed, 0), coalesce(e.cancelled, 0),
    coalesce(e.items, 0), e.median_duration, round(e.finished::numeric / nullif(e.finished + e.failed, 0), 4)
  FROM generate_series(v_days - 1, 0, -1) AS n (back)
  LEFT JOIN (
    SELECT (j.finished_at AT TIME ZONE 'UTC')::date AS day, count(*) FILTER (WHERE j.status = 'finished') AS finished,
      count(*) FILTER (WHERE j.status = 'failed') AS failed,
      count(*) FILTER (WHERE j.status = 'cancelled') AS cancelled,
      sum(tallymark.processed_items(j.progress)) AS items,
      percentile_cont(0.5) WITHIN GROUP (ORDER BY j.finished_at - j.started_at) AS median_duration
    FROM tallymark.job AS j
    WHERE j.finished_at >= v_from AND j.finished_at < v_to
      AND (jobs_per_day.id_prefix IS NULL OR starts_with(j.id, jobs_per_day.id_prefix))
    GROUP BY 1
  ) AS e ON e.day = v_today - n.back
  ORDER BY n.back DESC;
END
$$;

COMMENT ON FUNCTION tallymark.jobs_per_day(integer, text, timestamptz) IS
'Counts the jobs that ended on each of the last days, in UTC and by the crawlers'' clocks. A job that runs again is not
counted.
Arguments: days: how many days, today included, 0 to 3660, null for 30; id_prefix: only jobs whose ids begin with
this, null for all; as_of: the moment for which to answer, null for now.
Returns: a row for each day, the oldest first: day; finished, failed and cancelled (how many ended that way); items
(the sum of their processed_items); median_duration (from their first report to their end, null where none ended);
success_rate (finished jobs among those that finished or failed, 0 to 1, null where there are none).
Callers: tallymark_reader, tallymark_admin.
Cost: reads the jobs that ended on these days, found by an index (job_finished_idx).';

REVOKE ALL ON FUNCTION tallymark.jobs_per_day(integer, text, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.jobs_per_day(integer, text, timestamptz) TO tallymark_reader, tallymark_admin;
