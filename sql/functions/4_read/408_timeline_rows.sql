-- Gives the rows of a page of the timeline: the common part of timeline and timeline_before, in either direction.

CREATE OR REPLACE FUNCTION tallymark.timeline_rows(job_id text, events tallymark.job_event[])
RETURNS TABLE (seq bigint, "timestamp" timestamptz, event text, details jsonb, recorded_at timestamptz)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  c_most_bytes CONSTANT integer := tallymark.page_byte_limit();
BEGIN
  IF cardinality(timeline_rows.events) = 0
    AND NOT EXISTS (SELECT 1 FROM tallymark.job AS j WHERE j.id = timeline_rows.job_id)
  THEN
    PERFORM tallymark.refuse_unknown_job(timeline_rows.job_id);
  END IF;
  RETURN QUERY
  SELECT e.seq, e.occurred_at, e.event, e.shown, e.recorded_at
  FROM (
    SELECT p.*, sum(octet_length(p.shown::text)) OVER (ORDER BY p.ordinality) AS bytes
    FROM (
      SELECT n.seq, n.occurred_at, n.event, n.recorded_at, n.ordinality,
        tallymark.event_details(n.payload, n.details) AS shown
      FROM unnest(timeline_rows.events) WITH ORDINALITY AS n
      OFFSET 0 -- keeps the planner from computing the details twice, for the row and for its size
    ) AS p
  ) AS e
  -- A page of the largest possible events would exceed one JSON document.
  WHERE e.ordinality = 1 OR e.bytes <= c_most_bytes
  ORDER BY e.ordinality;
END
$$;

COMMENT ON FUNCTION tallymark.timeline_rows(text, tallymark.job_event[]) IS
'Gives the rows of a page of the timeline.
Arguments: job_id: the job; events: rows of its ledger in the order of the page.
Returns: rows as those of timeline: the first one, and as many after it as page_byte_limit allows.
Errors: TK404 where there are no events because there is no such job.';

REVOKE ALL ON FUNCTION tallymark.timeline_rows(text, tallymark.job_event[]) FROM PUBLIC;
