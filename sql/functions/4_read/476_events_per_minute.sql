-- Counts the events of all jobs, minute by minute.

CREATE OR REPLACE FUNCTION tallymark.events_per_minute(
  minutes integer DEFAULT 30, id_prefix text DEFAULT NULL, as_of timestamptz DEFAULT NULL
) RETURNS TABLE (minute timestamptz, events bigint, errors bigint, jobs bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET TimeZone = 'UTC' -- in which every minute has its seconds
SET plan_cache_mode = force_custom_plan
AS $$
DECLARE
  v_minutes CONSTANT integer := least(greatest(coalesce(events_per_minute.minutes, 30), 0), 1440);
  v_now CONSTANT timestamptz := coalesce(events_per_minute.as_of, statement_timestamp());
  v_last CONSTANT timestamptz := date_trunc('minute', v_now);
BEGIN
  RETURN QUERY
  SELECT n.minute, coalesce(c.events, 0), coalesce(c.errors, 0), coalesce(c.jobs, 0)
  FROM generate_series(v_last - (v_minutes - 1) * interval '1 minute', v_last, interval '1 minute') AS n (minute)
  LEFT JOIN (
    SELECT m.minute, sum(m.events)::bigint AS events, sum(m.errors)::bigint AS errors, count(*) AS jobs
    FROM (
      -- Grouped by job first, because counting distinct jobs would sort all events.
      SELECT date_trunc('minute', e.recorded_at) AS minute, count(*) AS events,
        count(*) FILTER (WHERE e.event = 'error' AND e.payload IS NOT NULL) AS errors
      FROM tallymark.job_event AS e
      WHERE e.recorded_at >= v_last - (v_minutes - 1) * interval '1 minute' AND e.recorded_at <= v_now
        AND (events_per_minute.id_prefix IS NULL OR starts_with(e.job_id, events_per_minute.id_prefix))
      GROUP BY 1, e.job_id
    ) AS m
    GROUP BY m.minute
  ) AS c ON c.minute = n.minute
  ORDER BY n.minute;
END
$$;

COMMENT ON FUNCTION tallymark.events_per_minute(integer, text, timestamptz) IS
'Counts the events of all jobs in each of the last minutes, by the time of recording, on the server''s clock.
Arguments: minutes: how many minutes, the current one included, 0 to 1440, null for 30; id_prefix: only jobs whose ids
begin with this, null for all; as_of: the moment for which to answer, null for now.
Returns: a row for each minute, the oldest first: minute (when it began); events (how many were recorded); errors (how
many of these are errors that crawlers reported); jobs (how many jobs had events).
Callers: tallymark_reader, tallymark_admin.
Cost: reads the events of these minutes, found by job_event_recorded_idx.';

REVOKE ALL ON FUNCTION tallymark.events_per_minute(integer, text, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.events_per_minute(integer, text, timestamptz) TO tallymark_reader, tallymark_admin;
