-- Reads a job for callers that may know it already: its tag, and the job itself only where the tag is new to them.

CREATE OR REPLACE FUNCTION tallymark.read_job(
  job_id text, timeline_limit integer DEFAULT 100, known_tags text[] DEFAULT '{}'
) RETURNS TABLE (tag text, job jsonb)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  v_created_at timestamptz;
  v_last_seq bigint;
  v_command_seq bigint;
  v_updated_at timestamptz;
BEGIN
  -- A stable function reads in one snapshot, so the tag belongs to the state that is returned.
  SELECT j.created_at, j.last_seq, j.command_seq, j.updated_at
  INTO v_created_at, v_last_seq, v_command_seq, v_updated_at
  FROM tallymark.job AS j WHERE j.id = read_job.job_id;
  IF NOT FOUND THEN
    PERFORM tallymark.refuse_unknown_job(read_job.job_id);
  END IF;
  read_job.tag := tallymark.job_tag(v_created_at, v_last_seq,
    tallymark.job_mark(read_job.job_id, v_last_seq, v_command_seq, v_updated_at));
  IF (read_job.known_tags && ARRAY[read_job.tag, '*']) IS NOT TRUE THEN
    read_job.job := tallymark.get_job(read_job.job_id, read_job.timeline_limit);
  END IF;
  RETURN NEXT;
END
$$;

COMMENT ON FUNCTION tallymark.read_job(text, integer, text[]) IS
'Reads a job and a tag that changes whenever the job does, for polling: a caller that knows the tag already does not
get the job again.
Arguments: job_id: a registered job; timeline_limit: as that of get_job (a caller that changes it between two calls
must not pass the tag of the first); known_tags: the tags that the caller knows, * for any.
Returns: one row of tag and job: the job as get_job gives it, or null where the caller knows the tag; then the job is
not even read.
Errors: TK404 where there is no such job; TK400 where job_id is null, empty or too long.
Callers: tallymark_reader, tallymark_admin.';

REVOKE ALL ON FUNCTION tallymark.read_job(text, integer, text[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.read_job(text, integer, text[]) TO tallymark_reader, tallymark_admin;
