-- Finds where in a job's ledger a moment is.

CREATE OR REPLACE FUNCTION tallymark.seq_since(job_id text, at timestamptz) RETURNS bigint
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  v_low bigint := 1;
  v_high bigint;
  v_middle bigint;
BEGIN
  -- Events are recorded in the order of their numbers, so no index on the time is needed. Pruned events were recorded
  -- before all that are left.
  SELECT coalesce(max(e.seq), 0) + 1 INTO v_high FROM tallymark.job_event AS e WHERE e.job_id = seq_since.job_id;
  WHILE v_low < v_high LOOP
    v_middle := (v_low + v_high) / 2;
    IF EXISTS (SELECT 1 FROM tallymark.job_event AS e
      WHERE e.job_id = seq_since.job_id AND e.seq = v_middle AND e.recorded_at >= seq_since.at)
    THEN
      v_high := v_middle;
    ELSE
      v_low := v_middle + 1;
    END IF;
  END LOOP;
  RETURN v_high;
END
$$;

COMMENT ON FUNCTION tallymark.seq_since(text, timestamptz) IS
'Finds the first event of a job that was recorded at or after a moment, by binary search.
Arguments: job_id: the job; at: by the server''s clock.
Returns: its number; one more than that of the last event where there is none.';

REVOKE ALL ON FUNCTION tallymark.seq_since(text, timestamptz) FROM PUBLIC;
