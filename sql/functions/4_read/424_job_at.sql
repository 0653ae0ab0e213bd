-- Reads a job as it was after one of its events.

CREATE OR REPLACE FUNCTION tallymark.job_at(job_id text, seq bigint, timeline_limit integer DEFAULT 100) RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  v_last bigint;
  v_created timestamptz;
  v_pruned bigint;
  v_job tallymark.job;
BEGIN
  SELECT j.last_seq, j.created_at, j.pruned_seq INTO v_last, v_created, v_pruned
  FROM tallymark.job AS j WHERE j.id = job_at.job_id;
  IF NOT FOUND THEN
    PERFORM tallymark.refuse_unknown_job(job_at.job_id);
  ELSIF (job_at.seq BETWEEN v_pruned AND v_last) IS NOT TRUE THEN
    PERFORM tallymark.refuse_query('at', format('must be %s to %s, the number of the job''s last event', v_pruned,
      v_last) || CASE WHEN job_at.seq BETWEEN 0 AND v_pruned THEN '; earlier events were pruned' ELSE '' END);
  END IF;
  v_job := tallymark.fold_ledger(job_at.job_id, job_at.seq);
  v_job.updated_at := coalesce((
    SELECT e.recorded_at FROM tallymark.job_event AS e
    WHERE e.job_id = job_at.job_id AND e.seq <= job_at.seq AND e.payload IS NOT NULL
    ORDER BY e.seq DESC LIMIT 1), v_created);
  v_job.progress := v_job.progress
    || jsonb_build_object('timeline', tallymark.newest_events(v_job.id, job_at.seq, job_at.timeline_limit));
  RETURN tallymark.job_document(v_job) - '{createdAt,attributes}'::text[];
END
$$;

COMMENT ON FUNCTION tallymark.job_at(text, bigint, integer) IS
'Reads a job as it was after one of its events, by folding the ledger up to there.
Arguments: job_id: a registered job; seq: the number of the event, 0 for the state before the first; timeline_limit:
as that of get_job.
Returns: the job as get_job gave it then, without createdAt, attributes and parent, which no event holds.
Errors: TK404 where there is no such job; TK400 where job_id is null, empty or too long, or where there is no such
event, or it was pruned.
Callers: tallymark_reader, tallymark_admin.
Cost: reads and merges the events up to this one.';

REVOKE ALL ON FUNCTION tallymark.job_at(text, bigint, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.job_at(text, bigint, integer) TO tallymark_reader, tallymark_admin;
