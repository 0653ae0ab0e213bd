-- Tells whether the stored state of a job is the fold of its ledger.

CREATE OR REPLACE FUNCTION tallymark.verify_job(job_id text) RETURNS boolean
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  RETURN NOT EXISTS (SELECT 1 FROM tallymark.verify_differences(verify_job.job_id));
END
$$;

COMMENT ON FUNCTION tallymark.verify_job(text) IS
'Tells whether the stored state of a job is the fold of its ledger. verify_differences says where it is not.
Arguments: job_id: a registered job.
Returns: true or false.
Errors: TK404 where there is no such job; TK400 where job_id is null, empty or too long.
Callers: tallymark_reader, tallymark_admin.
Locks: none.
Cost: reads the job''s ledger and merges each update of it again.';

REVOKE ALL ON FUNCTION tallymark.verify_job(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.verify_job(text) TO tallymark_reader, tallymark_admin;
