-- Deletes a job that has ended, with all that belongs to it.

CREATE OR REPLACE FUNCTION tallymark.delete_job(job_id text, expected_seq bigint DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  v_job tallymark.job;
BEGIN
  PERFORM tallymark.keep_shards(ARRAY[delete_job.job_id]);
  -- Lock order: the job's row first, then what belongs to it.
  SELECT j.* INTO v_job FROM tallymark.job AS j WHERE j.id = delete_job.job_id FOR UPDATE;
  IF NOT FOUND THEN
    PERFORM tallymark.refuse_unknown_job(delete_job.job_id);
  ELSIF NOT tallymark.is_terminal(v_job.status) THEN
    RAISE EXCEPTION USING ERRCODE = 'TK409', MESSAGE = 'Job has not ended',
      DETAIL = format('The job is %s, so its crawler may still report.', v_job.status),
      HINT = 'Cancel the job first. It ends when its crawler reports cancelled.';
  ELSIF v_job.last_seq <> delete_job.expected_seq THEN
    RAISE EXCEPTION USING ERRCODE = 'TK409', MESSAGE = 'Job has changed',
      DETAIL = format('Its last event has the number %s now, not %s.', v_job.last_seq, delete_job.expected_seq),
      HINT = 'Look at the job again. Nothing was deleted.';
  END IF;
  DELETE FROM tallymark.job_event AS e WHERE e.job_id = v_job.id;
  DELETE FROM tallymark.job_area AS a WHERE a.job_id = v_job.id;
  DELETE FROM tallymark.job_item AS i WHERE i.job_id = v_job.id;
  DELETE FROM tallymark.pruned_update AS p WHERE p.job_id = v_job.id;
  DELETE FROM tallymark.job_baseline_area AS b WHERE b.job_id = v_job.id;
  DELETE FROM tallymark.job_baseline AS b WHERE b.job_id = v_job.id;
  -- Its alerts stay: the next raise_alerts closes them, so that operators get a message.
  DELETE FROM tallymark.job_intake AS i WHERE i.job_id = v_job.id;
  DELETE FROM tallymark.job_pace AS p WHERE p.job_id = v_job.id;
  DELETE FROM tallymark.job_check AS c WHERE c.job_id = v_job.id;
  DELETE FROM tallymark.job AS j WHERE j.id = v_job.id;
  RETURN v_job.last_seq - v_job.pruned_seq;
END
$$;

COMMENT ON FUNCTION tallymark.delete_job(text, bigint) IS
'Deletes a job that has ended, with its ledger, its areas and everything else about it except its alerts. Later updates
for it are refused with TK404. Another job may be registered under its id; it starts from nothing.
Arguments: job_id: a job that has ended; expected_seq: the number of its last event as the caller knows it, null to
delete it whatever that is.
Returns: how many events were deleted.
Errors: TK404 where there is no such job; TK409 where it has not ended, or has another last event than expected_seq;
TK400 where job_id is null, empty or too long.
Callers: tallymark_admin.
Locks: the job''s row, until the end of the transaction. Prune a long ledger first.';

REVOKE ALL ON FUNCTION tallymark.delete_job(text, bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.delete_job(text, bigint) TO tallymark_admin;
