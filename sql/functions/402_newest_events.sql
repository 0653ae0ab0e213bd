-- The end of a job's timeline, as it goes along with the job.

CREATE OR REPLACE FUNCTION tallymark.newest_events(job_id text, up_to_seq bigint, max_events integer) RETURNS jsonb
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  c_most_bytes CONSTANT integer := 16777216;
BEGIN
  -- The newest events, the oldest of them first, as the original's timeline reads.
  RETURN (
    SELECT coalesce(jsonb_agg(jsonb_build_object('seq', e.seq, 'timestamp', tallymark.iso_timestamp(e.occurred_at),
      'event', e.event, 'details', tallymark.event_details(e.payload, e.details)) ORDER BY e.seq), '[]')
    FROM (
      SELECT p.*, sum(octet_length(p.payload::text)) OVER (ORDER BY p.seq DESC) AS bytes
      FROM (
        SELECT n.* FROM tallymark.job_event AS n
        WHERE n.job_id = newest_events.job_id AND n.seq <= newest_events.up_to_seq
        ORDER BY n.seq DESC LIMIT least(greatest(coalesce(newest_events.max_events, 100), 0), 1000)
      ) AS p
    ) AS e
    -- More would be too much for one JSON document; timeline has the others.
    WHERE coalesce(e.bytes, 0) <= c_most_bytes);
END
$$;

COMMENT ON FUNCTION tallymark.newest_events(text, bigint, integer) IS
'The newest events of a job, as they go along with it.
Arguments: job_id; up_to_seq, the number of the last event that counts; max_events, how many, 0 to 1000, null for 100;
no more than 16 MB of updates hold.
Returns: an array of {"seq", "timestamp", "event", "details"} in the order of the ledger.';

REVOKE ALL ON FUNCTION tallymark.newest_events(text, bigint, integer) FROM PUBLIC;
