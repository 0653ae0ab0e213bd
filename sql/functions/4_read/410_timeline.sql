-- Reads the timeline of a job, a page at a time.

CREATE OR REPLACE FUNCTION tallymark.timeline(
  job_id text, after_seq bigint DEFAULT 0, max_events integer DEFAULT 100, event_kind text DEFAULT NULL,
  event_kinds text[] DEFAULT NULL
) RETURNS TABLE (seq bigint, "timestamp" timestamptz, event text, details jsonb, recorded_at timestamptz)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  v_event tallymark.job_event;
  v_events tallymark.job_event[] := '{}'::tallymark.job_event[];
BEGIN
  FOR v_event IN
    SELECT n.* FROM tallymark.job_event AS n
    WHERE n.job_id = timeline.job_id AND n.seq > coalesce(timeline.after_seq, 0)
      AND (timeline.event_kind IS NULL OR n.event = timeline.event_kind)
      AND (timeline.event_kinds IS NULL OR n.event = ANY (timeline.event_kinds))
    ORDER BY n.seq
    LIMIT least(greatest(coalesce(timeline.max_events, 100), 0), 1000)
  LOOP
    v_events := v_events || v_event;
  END LOOP;
  RETURN QUERY SELECT r.* FROM tallymark.timeline_rows(timeline.job_id, v_events) AS r;
END
$$;

COMMENT ON FUNCTION tallymark.timeline(text, bigint, integer, text, text[]) IS
'Reads the timeline of a job in the order of its ledger, a page at a time.
Arguments: job_id: a registered job; after_seq: the number of the last event already seen, 0 or null to begin with the
first; max_events: how many events at most, 0 to 1000, null for 100, and at most 16 MB of details; event_kind: only
events of this kind, null for all; event_kinds: only events of one of these kinds, null for all.
Returns: rows of seq (the number of the event), timestamp (when it happened, by the crawler''s clock), event (its kind:
error, completion, credential_status_change, areas_discovered, discovery_progress, stage_change, progress_update,
command_requested, or a name of the crawler''s own), details (an object with what the update gave, and for a change of
stage fromStage and toStage, for an error errorType, errorMessage, errorCode, stack and context, for a completion
finalCounts, duration in milliseconds and summary, for areas newGroups and newProjects), recorded_at (when it was
recorded, by the server''s clock).
Errors: TK404 where there is no such job; TK400 where job_id is null, empty or too long.
Callers: tallymark_reader, tallymark_admin.';

REVOKE ALL ON FUNCTION tallymark.timeline(text, bigint, integer, text, text[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.timeline(text, bigint, integer, text, text[])
  TO tallymark_reader, tallymark_admin;
