-- Notes a sign of life: the crawler is there, though it has nothing to report.

CREATE OR REPLACE FUNCTION tallymark.note_alive(job_id text, worker_id text DEFAULT NULL) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  c_often_enough CONSTANT interval := '1 second';
  v_now CONSTANT timestamptz := clock_timestamp();
  v_alive_at timestamptz;
  v_command text;
BEGIN
  IF char_length(note_alive.worker_id) NOT BETWEEN 1 AND 100 THEN
    RAISE EXCEPTION USING ERRCODE = 'TK400', MESSAGE = 'Invalid sign of life',
      DETAIL = jsonb_build_array(jsonb_build_object('field', 'workerId', 'problem', tallymark.member_rule('workerId')))::text,
      HINT = 'Correct the named field.';
  END IF;
  PERFORM tallymark.keep_shards(ARRAY[note_alive.job_id]);
  SELECT j.alive_at, j.requested_command INTO v_alive_at, v_command
  FROM tallymark.job AS j WHERE j.id = note_alive.job_id;
  IF NOT FOUND THEN
    PERFORM tallymark.refuse_unknown_job(note_alive.job_id);
  END IF;
  IF (v_alive_at > v_now - c_often_enough) IS NOT TRUE THEN
    -- This does not wait for the row: the transaction that has locked it is probably merging an update of this job.
    IF tallymark.lock_free_jobs(ARRAY[note_alive.job_id]) = '{}' THEN
      UPDATE tallymark.job AS j SET alive_at = v_now WHERE j.id = note_alive.job_id;
    END IF;
  END IF;
  RETURN jsonb_build_object('command', v_command);
END
$$;

COMMENT ON FUNCTION tallymark.note_alive(text, text) IS
'Notes that a job''s crawler is alive, and returns the command that an operator has given. Sets job.alive_at and appends
nothing: a sign of life is not an update, and alive_at is not part of the state that the ledger adds up to. A job with
signs of life and without updates is stuck; a job with neither is silent (see stalled_jobs). Nothing changes if the last
sign came less than a second ago. The same holds if another transaction has locked the job''s row: as a rule this
function does not wait for a job.
Arguments: job_id: a registered job; worker_id: the worker that is alive, 1 to 100 characters, null for the unnamed
one; signs of life are kept for the job, not for each worker.
Returns: {"command": the command of an operator that is pending: pause, resume, cancel or null}.
Errors: TK404 where there is no such job; TK400 where job_id or worker_id is not valid.
Callers: tallymark_writer, tallymark_admin.
Locks: the job''s row, where no other transaction holds it, until the end of the transaction. As a rule it waits for none.
Example: SELECT tallymark.note_alive(''job_1'');';

REVOKE ALL ON FUNCTION tallymark.note_alive(text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.note_alive(text, text) TO tallymark_writer, tallymark_admin;
