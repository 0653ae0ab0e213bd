-- Notes how a run went, so that it need not be read from the ledger again, and outlives it.

CREATE OR REPLACE FUNCTION tallymark.store_pace(pace tallymark.job_pace) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  -- Lock order: the job's row, then this. It keeps the job from being deleted meanwhile, and nobody from reporting.
  PERFORM 1 FROM tallymark.job AS j WHERE j.id = pace.job_id FOR KEY SHARE;
  IF FOUND THEN
    INSERT INTO tallymark.job_pace AS p (job_id, seq, at_seconds, items)
    VALUES (pace.job_id, pace.seq, pace.at_seconds, pace.items)
    ON CONFLICT ON CONSTRAINT job_pace_pkey DO UPDATE
    SET seq = excluded.seq, at_seconds = excluded.at_seconds, items = excluded.items
    WHERE p.seq < excluded.seq;
  END IF;
END
$$;

COMMENT ON FUNCTION tallymark.store_pace(tallymark.job_pace) IS
'Notes how a run went. What was noted for a later event stays.
Arguments: pace: what run_pace gives.
Locks: the job''s row FOR KEY SHARE, which no merge waits for, until the end of the transaction.';

REVOKE ALL ON FUNCTION tallymark.store_pace(tallymark.job_pace) FROM PUBLIC;
