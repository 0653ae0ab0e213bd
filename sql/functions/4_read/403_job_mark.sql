-- Gives a number that tells the newest event of a job from another one with the same number.

CREATE OR REPLACE FUNCTION tallymark.job_mark(
  job_id text, last_seq bigint, command_seq bigint, updated_at timestamptz
) RETURNS bigint
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  v_at timestamptz := job_mark.updated_at;
BEGIN
  -- A command is an event and no update, so it does not change updated_at. Pruning may have deleted it.
  IF job_mark.command_seq = job_mark.last_seq THEN
    v_at := coalesce((
      SELECT e.recorded_at FROM tallymark.job_event AS e
      WHERE e.job_id = job_mark.job_id AND e.seq = job_mark.last_seq), v_at);
  END IF;
  RETURN (extract(epoch FROM v_at) * 1000000)::bigint;
END
$$;

COMMENT ON FUNCTION tallymark.job_mark(text, bigint, bigint, timestamptz) IS
'Gives a number that tells the newest event of a job from another one with the same number: after an older backup was
restored, the ledger may go on with other events.
Arguments: job_id, last_seq, command_seq, updated_at: those of the job.
Returns: when the event was recorded, in microseconds since 1970; for a job without events when it was registered.
Cost: nothing where the newest event is an update, otherwise one lookup.';

REVOKE ALL ON FUNCTION tallymark.job_mark(text, bigint, bigint, timestamptz) FROM PUBLIC;
