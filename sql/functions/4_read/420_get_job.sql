-- A job in the original's shape.

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
'A job in the original''s shape.
Arguments: job_id; timeline_limit, how many of its newest events go along, 0 to 1000, as far as
16 MB hold them.
Returns: {"id", "status", "progress": the merged state with "timeline", "resumeState", "lastSeq", "percentage",
"summary", "startedAt", "finishedAt", "updatedAt", "createdAt", "attributes", "command"}.
Errors: TK404, no such job.';

REVOKE ALL ON FUNCTION tallymark.get_job(text, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.get_job(text, integer) TO tallymark_reader, tallymark_admin;
