-- Reads a job in the original's shape.

CREATE OR REPLACE FUNCTION tallymark.get_job(job_id text, timeline_limit integer DEFAULT 100) RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  v_job tallymark.job;
BEGIN
  SELECT j.* INTO v_job FROM tallymark.job AS j WHERE j.id = get_job.job_id;
  IF NOT FOUND THEN
    PERFORM tallymark.refuse_unknown_job(get_job.job_id);
  END IF;
  v_job.progress := v_job.progress
    || jsonb_build_object('timeline', tallymark.newest_events(v_job.id, v_job.last_seq, get_job.timeline_limit));
  RETURN tallymark.job_document(v_job);
END
$$;

COMMENT ON FUNCTION tallymark.get_job(text, integer) IS
'Reads a job in the original''s shape, its newest events included.
Arguments: job_id: a registered job; timeline_limit: how many of its newest events to include, 0 to 1000, null for
100, and at most 16 MB of JSON.
Returns: {"id", "status", "progress": the merged state, with "timeline": [{"seq", "timestamp", "event", "details"}] in
the order of the ledger, "resumeState", "lastSeq": the number of the last event, "percentage", "summary", "books":
{"type": {"total", "done", "failed", "skipped", "left", "over"}} or null (see progress_books), "shortfall": {"type": how
many are left}, where it is finished and something is left, or null (see progress_shortfall), "startedAt", "finishedAt",
"updatedAt", "createdAt", "attributes", "command": the pending command, or null}; while the job has a credential status
also "credentialGuidance": [texts]; where it is part of another job also "parent".
Errors: TK404 where there is no such job; TK400 where job_id is null, empty or too long.
Callers: tallymark_reader, tallymark_admin.';

REVOKE ALL ON FUNCTION tallymark.get_job(text, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.get_job(text, integer) TO tallymark_reader, tallymark_admin;
