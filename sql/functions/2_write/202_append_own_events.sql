-- Appends a crawler's own events unchanged, after the event of the update that carried them.

CREATE OR REPLACE FUNCTION tallymark.append_own_events(
  job_id text, after_seq bigint, recorded_at timestamptz, events jsonb
) RETURNS bigint
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  -- Read before the rows are sent: where the table is distributed, parse_timestamp cannot catch an error meanwhile.
  v_times CONSTANT timestamptz[] := ARRAY(
    SELECT tallymark.parse_timestamp(o.event ->> 'timestamp')
    FROM jsonb_array_elements(append_own_events.events) WITH ORDINALITY AS o (event, number) ORDER BY o.number);
BEGIN
  -- Without update_key and payload: a fold ignores them.
  INSERT INTO tallymark.job_event AS e (job_id, seq, event, occurred_at, recorded_at, details)
  SELECT append_own_events.job_id, append_own_events.after_seq + own.number, own.event ->> 'event',
    v_times[own.number], append_own_events.recorded_at, coalesce(nullif(own.event -> 'details', 'null'), '{}')
  FROM jsonb_array_elements(append_own_events.events) WITH ORDINALITY AS own (event, number);
  RETURN append_own_events.after_seq + jsonb_array_length(append_own_events.events);
END
$$;

COMMENT ON FUNCTION tallymark.append_own_events(text, bigint, timestamptz, jsonb) IS
'Appends the events of a crawler''s own timeline to the ledger unchanged.
Arguments: job_id: a job whose row the caller has locked; after_seq: the number of the last event; recorded_at: now;
events: an array of {"timestamp", "event", "details"} without problems.
Returns: the number of the last event afterwards.';

REVOKE ALL ON FUNCTION tallymark.append_own_events(text, bigint, timestamptz, jsonb) FROM PUBLIC;
