-- Gives the events of all jobs, minute by minute, as one JSON document, as HTTP answers it.

CREATE OR REPLACE FUNCTION tallymark.throughput_page(minutes integer DEFAULT 30, id_prefix text DEFAULT NULL)
RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_custom_plan
AS $$
DECLARE
  v_now CONSTANT timestamptz := statement_timestamp();
  v_minutes jsonb;
  v_events bigint;
  v_errors bigint;
BEGIN
  SELECT coalesce(jsonb_agg(jsonb_build_object('minute', tallymark.iso_timestamp(m.minute), 'events', m.events,
    'errors', m.errors, 'jobs', m.jobs) ORDER BY m.minute), '[]') INTO v_minutes
  FROM tallymark.events_per_minute(throughput_page.minutes, throughput_page.id_prefix) AS m;
  SELECT count(*), count(*) FILTER (WHERE e.event = 'error' AND e.payload IS NOT NULL) INTO v_events, v_errors
  FROM tallymark.job_event AS e
  WHERE e.recorded_at > v_now - interval '60 seconds' AND e.recorded_at <= v_now
    AND (throughput_page.id_prefix IS NULL OR starts_with(e.job_id, throughput_page.id_prefix));
  RETURN jsonb_build_object('minutes', v_minutes, 'eventsPerSecond', trim_scale(round(v_events / 60.0, 3)),
    'errorsPerMinute', v_errors);
END
$$;

COMMENT ON FUNCTION tallymark.throughput_page(integer, text) IS
'Gives events_per_minute, and the rates of the last 60 seconds, as one JSON document.
Arguments: minutes: as that of events_per_minute, 0 where only the last 60 seconds matter; id_prefix: only jobs whose
ids begin with this, null for all.
Returns: {"minutes": [{"minute", "events", "errors", "jobs"}], the oldest first, "eventsPerSecond" and
"errorsPerMinute": over the last 60 seconds}.
Callers: tallymark_reader, tallymark_admin.
Cost: reads the events of these minutes, found by job_event_recorded_idx.';

REVOKE ALL ON FUNCTION tallymark.throughput_page(integer, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.throughput_page(integer, text) TO tallymark_reader, tallymark_admin;
