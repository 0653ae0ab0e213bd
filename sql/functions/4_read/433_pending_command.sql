-- Finds the pending command of a job from its ledger alone.

CREATE OR REPLACE FUNCTION tallymark.pending_command(
  job_id text, up_to_seq bigint DEFAULT NULL, OUT command text, OUT seq bigint, OUT after timestamptz
)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  -- The last command, unless an update obeyed it. A command in the baseline was not obeyed by the updates in there.
  SELECT c.command, c.seq, c.after INTO pending_command.command, pending_command.seq, pending_command.after
  FROM (
    SELECT e.details ->> 'command' AS command, e.seq, (e.details ->> 'after')::timestamptz AS after
    FROM tallymark.job_event AS e
    WHERE e.job_id = pending_command.job_id AND e.update_key LIKE '!%'
      AND (pending_command.up_to_seq IS NULL OR e.seq <= pending_command.up_to_seq)
    UNION ALL
    SELECT b.state ->> 'requested_command', (b.state ->> 'command_seq')::bigint, b.command_after
    FROM tallymark.job_baseline AS b
    WHERE b.job_id = pending_command.job_id AND b.state ->> 'command_seq' IS NOT NULL
    ORDER BY 2 DESC LIMIT 1
  ) AS c
  WHERE NOT EXISTS (
    SELECT 1 FROM tallymark.job_event AS u
    WHERE u.job_id = pending_command.job_id AND u.payload IS NOT NULL
      AND (pending_command.up_to_seq IS NULL OR u.seq <= pending_command.up_to_seq)
      AND (u.occurred_at > c.after
        OR (u.occurred_at = c.after
          AND tallymark.is_terminal(tallymark.job_status(u.payload ->> 'status')) IS TRUE)) IS NOT FALSE
      AND tallymark.obeys(c.command, tallymark.job_status(coalesce(u.payload ->> 'status', 'processing'))));
END
$$;

COMMENT ON FUNCTION tallymark.pending_command(text, bigint) IS
'Finds the command that a job''s crawler has not obeyed yet, from the ledger alone.
Arguments: job_id: the job; up_to_seq: the number of the last event that counts, null for all, not below
job.pruned_seq.
Returns: command; seq: the number of its event; after: the time of the newest update that there was when it was given,
null where there was none. All are null where no command is pending.';

REVOKE ALL ON FUNCTION tallymark.pending_command(text, bigint) FROM PUBLIC;
