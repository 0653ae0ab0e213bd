-- The timeline of a job, a page at a time.

CREATE OR REPLACE FUNCTION tallymark.timeline(
  job_id text, after_seq bigint DEFAULT 0, max_events integer DEFAULT 100, event_kind text DEFAULT NULL
) RETURNS TABLE (seq bigint, "timestamp" timestamptz, event text, details jsonb, recorded_at timestamptz)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM tallymark.job AS j WHERE j.id = timeline.job_id) THEN
    PERFORM tallymark.refuse_unknown_job(timeline.job_id);
  END IF;
  RETURN QUERY
  SELECT e.seq, e.occurred_at, e.event, tallymark.event_details(e.payload, e.details), e.recorded_at
  FROM tallymark.job_event AS e
  WHERE e.job_id = timeline.job_id AND e.seq > coalesce(timeline.after_seq, 0)
    AND (timeline.event_kind IS NULL OR e.event = timeline.event_kind)
  ORDER BY e.seq
  LIMIT least(greatest(coalesce(timeline.max_events, 100), 0), 1000);
END
$$;

COMMENT ON FUNCTION tallymark.timeline(text, bigint, integer, text) IS
'The timeline of a job in the order of its ledger.
Arguments: job_id; after_seq, the number of the last event already seen; max_events, at most 1000; event_kind, only
events of this kind, null for all.
Returns: rows of seq, timestamp (when it happened, by the crawler''s clock), event, details (see event_details),
recorded_at (when it was recorded, by the server''s clock).
Errors: TK404, no such job.';

REVOKE ALL ON FUNCTION tallymark.timeline(text, bigint, integer, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.timeline(text, bigint, integer, text) TO tallymark_reader, tallymark_admin;
