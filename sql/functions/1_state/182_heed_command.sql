-- Withdraws a command that an update has obeyed. Only an update counts that is newer than all there was when the
-- command was given.

CREATE OR REPLACE FUNCTION tallymark.heed_command(job tallymark.job, at timestamptz, payload jsonb)
RETURNS tallymark.job
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  v_after timestamptz;
BEGIN
  IF tallymark.obeys(job.requested_command,
    tallymark.job_status(coalesce(heed_command.payload ->> 'status', 'processing')))
  THEN
    -- Compared with times of the crawlers' clocks, not of ours, since theirs may be behind. So the order in which the
    -- updates arrive makes no difference either.
    SELECT (e.details ->> 'after')::timestamptz INTO v_after FROM tallymark.job_event AS e
    WHERE e.job_id = job.id AND e.seq = job.command_seq;
    IF NOT FOUND THEN -- it was pruned
      SELECT b.command_after INTO v_after FROM tallymark.job_baseline AS b WHERE b.job_id = job.id;
    END IF;
    -- At the same time an end counts as newer: had it come before the command, the job would have ended.
    IF v_after IS NULL OR heed_command.at > v_after OR (heed_command.at = v_after
      AND tallymark.is_terminal(tallymark.job_status(heed_command.payload ->> 'status')))
    THEN
      job.requested_command := NULL;
      job.command_seq := NULL;
    END IF;
  END IF;
  RETURN job;
END
$$;

COMMENT ON FUNCTION tallymark.heed_command(tallymark.job, timestamptz, jsonb) IS
'Withdraws a job''s pending command where an update shows that it was obeyed.
Arguments: job: the state, with requested_command; at: when the update happened; payload: the update.
Returns: the state with requested_command and command_seq as they are after the update.';

REVOKE ALL ON FUNCTION tallymark.heed_command(tallymark.job, timestamptz, jsonb) FROM PUBLIC;
