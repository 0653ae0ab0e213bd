-- Reads the timeline of a job from its end backwards, a page at a time.

CREATE OR REPLACE FUNCTION tallymark.timeline_before(
  job_id text, before_seq bigint DEFAULT NULL, max_events integer DEFAULT 100, event_kinds text[] DEFAULT NULL
) RETURNS TABLE (seq bigint, "timestamp" timestamptz, event text, details jsonb, recorded_at timestamptz)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  c_largest CONSTANT bigint := 9223372036854775807;
  v_event tallymark.job_event;
  v_events tallymark.job_event[] := '{}'::tallymark.job_event[];
BEGIN
  FOR v_event IN
    SELECT n.* FROM tallymark.job_event AS n
    WHERE n.job_id = timeline_before.job_id
      AND n.seq < coalesce(nullif(timeline_before.before_seq, 0), c_largest)
      AND (timeline_before.event_kinds IS NULL OR n.event = ANY (timeline_before.event_kinds))
    ORDER BY n.seq DESC
    LIMIT least(greatest(coalesce(timeline_before.max_events, 100), 0), 1000)
  LOOP
    v_events := v_events || v_event;
  END LOOP;
  RETURN QUERY SELECT r.* FROM tallymark.timeline_rows(timeline_before.job_id, v_events) AS r;
END
$$;

COMMENT ON FUNCTION tallymark.timeline_before(text, bigint, integer, text[]) IS
'Reads the timeline of a job from its end backwards, the newest event first, a page at a time.
Arguments: job_id: a registered job; before_seq: only events with smaller numbers, null or 0 for all; max_events: how
many events at most, 0 to 1000, null for 100, and at most 16 MB of details; event_kinds: only events of one of these
kinds, null for all.
Returns: rows as those of timeline.
Errors: TK404 where there is no such job; TK400 where job_id is null, empty or too long.
Callers: tallymark_reader, tallymark_admin.
Cost: reads the events of the page; with event_kinds also the events between them.';

REVOKE ALL ON FUNCTION tallymark.timeline_before(text, bigint, integer, text[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.timeline_before(text, bigint, integer, text[]) TO tallymark_reader, tallymark_admin;
