-- Refuses a call for a job that is not registered.

CREATE OR REPLACE FUNCTION tallymark.refuse_unknown_job(job_id text) RETURNS void
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  -- An id that no job can have is an error in the call, not a missing job.
  v_problems CONSTANT jsonb := tallymark.update_problems(refuse_unknown_job.job_id, '{}');
BEGIN
  IF refuse_unknown_job.job_id IS NULL THEN -- without this check the update would be lost silently
    PERFORM tallymark.refuse_update('{}', '{taskId}', NULL);
  END IF;
  IF v_problems IS NOT NULL THEN
    PERFORM tallymark.refuse_update('{}', '{}', v_problems);
  END IF;
  RAISE EXCEPTION USING ERRCODE = 'TK404', MESSAGE = 'Job not found',
    DETAIL = format('There is no job %s.', quote_literal(refuse_unknown_job.job_id)),
    HINT = 'Register it first: tallymark job create, POST /api/internal/jobs, or tallymark.create_job(job_id) in SQL. '
      'With TALLYMARK_REGISTER_ON_FIRST_REPORT=1 the endpoint does so by itself.';
END
$$;

COMMENT ON FUNCTION tallymark.refuse_unknown_job(text) IS
'Refuses a call for a job that is not registered.
Errors: TK400 where the id is null or no job can have it; TK404 otherwise.';

REVOKE ALL ON FUNCTION tallymark.refuse_unknown_job(text) FROM PUBLIC;
