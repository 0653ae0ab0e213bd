-- Gives a page of the timeline as one JSON document, as HTTP answers it.

CREATE OR REPLACE FUNCTION tallymark.timeline_page(
  job_id text, after_seq bigint DEFAULT 0, max_events integer DEFAULT 100, event_kind text DEFAULT NULL,
  event_kinds text[] DEFAULT NULL
) RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  v_events jsonb;
BEGIN
  SELECT coalesce(jsonb_agg(
    tallymark.event_document(t.seq, t."timestamp", t.event, t.details, t.recorded_at) ORDER BY t.seq), '[]')
  INTO v_events
  FROM tallymark.timeline(timeline_page.job_id, timeline_page.after_seq, timeline_page.max_events,
    timeline_page.event_kind, timeline_page.event_kinds) AS t;
  RETURN jsonb_build_object('events', v_events, 'next', (
    SELECT v_events -> -1 -> 'seq' FROM tallymark.job_event AS e
    WHERE e.job_id = timeline_page.job_id AND e.seq > (v_events -> -1 -> 'seq')::bigint
      AND (timeline_page.event_kind IS NULL OR e.event = timeline_page.event_kind)
      AND (timeline_page.event_kinds IS NULL OR e.event = ANY (timeline_page.event_kinds))
    LIMIT 1))
    || coalesce((SELECT jsonb_build_object('prunedSeq', j.pruned_seq) FROM tallymark.job AS j
      WHERE j.id = timeline_page.job_id AND j.pruned_seq > 0), '{}');
END
$$;

COMMENT ON FUNCTION tallymark.timeline_page(text, bigint, integer, text, text[]) IS
'Reads a page of a job''s timeline as one JSON document.
Arguments: as those of timeline.
Returns: {"events": [{"seq", "timestamp", "event", "details", "recordedAt"}], "next": the after_seq of the next page,
null where there is none}; where events were pruned also "prunedSeq": the number of the last pruned event.
Errors: TK404 where there is no such job; TK400 where job_id is null, empty or too long.
Callers: tallymark_reader, tallymark_admin.';

REVOKE ALL ON FUNCTION tallymark.timeline_page(text, bigint, integer, text, text[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.timeline_page(text, bigint, integer, text, text[])
  TO tallymark_reader, tallymark_admin;
