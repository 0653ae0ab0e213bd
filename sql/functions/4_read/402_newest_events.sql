-- Gives the end of a job's timeline, which is shown with the job.

CREATE OR REPLACE FUNCTION tallymark.newest_events(job_id text, up_to_seq bigint, max_events integer) RETURNS jsonb
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  c_most_bytes CONSTANT integer := tallymark.page_byte_limit();
  v_event tallymark.job_event;
  v_shown jsonb;
  v_events jsonb[] := '{}'::jsonb[];
  v_bytes bigint := 0;
BEGIN
  FOR v_event IN
    SELECT n.* FROM tallymark.job_event AS n
    WHERE n.job_id = newest_events.job_id AND n.seq <= newest_events.up_to_seq
    ORDER BY n.seq DESC LIMIT least(greatest(coalesce(newest_events.max_events, 100), 0), 1000)
  LOOP
    v_shown := tallymark.event_document(v_event.seq, v_event.occurred_at, v_event.event,
      tallymark.event_details(v_event.payload, v_event.details), NULL) - 'recordedAt';
    v_bytes := v_bytes + octet_length(v_shown::text);
    EXIT WHEN v_bytes > c_most_bytes; -- one JSON document must not grow larger; timeline has the others
    v_events := v_events || v_shown;
  END LOOP;
  -- Oldest first, as in the original's timeline.
  RETURN (SELECT coalesce(jsonb_agg(e.shown ORDER BY e.number DESC), '[]')
    FROM unnest(v_events) WITH ORDINALITY AS e (shown, number));
END
$$;

COMMENT ON FUNCTION tallymark.newest_events(text, bigint, integer) IS
'Gives the newest events of a job, which are shown with the job.
Arguments: job_id: the job; up_to_seq: the number of the last event to show; max_events: 0 to 1000, null for 100, and
at most 16 MB of JSON.
Returns: an array of {"seq", "timestamp", "event", "details"} in the order of the ledger.';

REVOKE ALL ON FUNCTION tallymark.newest_events(text, bigint, integer) FROM PUBLIC;
