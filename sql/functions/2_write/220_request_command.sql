-- Records what an operator asks of a job's crawler; the crawler learns of it from its next acknowledgement.

CREATE OR REPLACE FUNCTION tallymark.request_command(job_id text, command text, requested_by text DEFAULT NULL)
RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  v_problems jsonb := '[]'::jsonb;
  v_job tallymark.job;
  v_now timestamptz;
BEGIN
  IF tallymark.obeys(request_command.command, 'running') IS NULL THEN
    v_problems := v_problems || '{"field": "command", "problem": "must be pause, resume or cancel"}';
  END IF;
  IF char_length(request_command.requested_by) > 255 THEN
    v_problems := v_problems || '{"field": "requestedBy", "problem": "must have at most 255 characters"}';
  END IF;
  IF v_problems <> '[]' THEN
    RAISE EXCEPTION USING ERRCODE = 'TK400', MESSAGE = 'Invalid command', DETAIL = v_problems::text,
      HINT = 'Correct the named fields. No command was given.';
  END IF;

  PERFORM tallymark.keep_shards(ARRAY[request_command.job_id]);
  SELECT j.* INTO v_job FROM tallymark.job AS j WHERE j.id = request_command.job_id FOR NO KEY UPDATE;
  IF NOT FOUND THEN
    PERFORM tallymark.refuse_unknown_job(request_command.job_id);
  ELSIF tallymark.is_terminal(v_job.status) THEN
    RAISE EXCEPTION USING ERRCODE = 'TK409', MESSAGE = 'Job has ended',
      DETAIL = format('The job is %s, so there is no crawler to %s it.', v_job.status, request_command.command),
      HINT = 'The job runs again when a crawler reports started.';
  END IF;
  IF v_job.requested_command IS DISTINCT FROM request_command.command THEN
    v_now := clock_timestamp();
    -- Its key begins with a character of its own, so it cannot equal the key of an update.
    INSERT INTO tallymark.job_event AS e (job_id, seq, event, update_key, occurred_at, recorded_at, details)
    VALUES (v_job.id, v_job.last_seq + 1, 'command_requested', '!' || (v_job.last_seq + 1), v_now, v_now,
      tallymark.without_nulls(jsonb_build_object('command', request_command.command,
        'requestedBy', request_command.requested_by, 'after', tallymark.iso_timestamp(v_job.newest_at))));
    UPDATE tallymark.job AS j
    SET requested_command = request_command.command, command_seq = v_job.last_seq + 1, last_seq = v_job.last_seq + 1
    WHERE j.id = v_job.id;
  END IF;
  RETURN tallymark.get_job(v_job.id, 0);
END
$$;

COMMENT ON FUNCTION tallymark.request_command(text, text, text) IS
'Gives a command to a job''s crawler. Every acknowledgement carries the command until the crawler obeys it or another
command is given. The crawler obeys by an update that is newer than all there was when the command was given, and
whose status fits: paused for pause; started, processing or another status of a running job for resume; an end of the
job for any command. Giving the pending command again changes nothing. The command is in the ledger, as the event
command_requested.
Arguments: job_id: a registered job; command: pause, resume or cancel; requested_by: who gives it, for the ledger, at
most 255 characters, null for nobody in particular.
Returns: the job as get_job gives it, without events.
Errors: TK400 where there is no such command, or where requested_by or job_id is not valid; TK404 where there is no
such job; TK409 where the job has ended.
Callers: tallymark_writer, tallymark_admin.
Locks: the job''s row, until the end of the transaction.
Example: SELECT tallymark.request_command(''job_1'', ''pause'', ''alice'');';

REVOKE ALL ON FUNCTION tallymark.request_command(text, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.request_command(text, text, text) TO tallymark_writer, tallymark_admin;
