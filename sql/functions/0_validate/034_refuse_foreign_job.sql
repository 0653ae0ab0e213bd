-- Refuses a call for a job that the caller's token does not cover.

CREATE OR REPLACE FUNCTION tallymark.refuse_foreign_job(job_id text, job_prefix text) RETURNS void
LANGUAGE plpgsql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF NOT starts_with(refuse_foreign_job.job_id, refuse_foreign_job.job_prefix) THEN
    RAISE EXCEPTION USING ERRCODE = 'TK403', MESSAGE = 'Forbidden',
      DETAIL = format('This token is for jobs whose ids begin with %s.', quote_literal(refuse_foreign_job.job_prefix));
  END IF;
END
$$;

COMMENT ON FUNCTION tallymark.refuse_foreign_job(text, text) IS
'Refuses a call for a job whose id does not begin with the caller''s prefix.
Arguments: job_id: the job, or null where the call names none; job_prefix: the prefix, null or empty for all jobs.
Errors: TK403.';

REVOKE ALL ON FUNCTION tallymark.refuse_foreign_job(text, text) FROM PUBLIC;
