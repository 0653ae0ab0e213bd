-- Whether the stored state of a job is the fold of its ledger.

CREATE OR REPLACE FUNCTION tallymark.verify_job(job_id text) RETURNS boolean
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  RETURN NOT EXISTS (SELECT FROM tallymark.verify_differences(verify_job.job_id));
END
$$;

COMMENT ON FUNCTION tallymark.verify_job(text) IS
'Whether the stored state of a job is the fold of its ledger; verify_differences says where it is not.
Arguments: job_id.
Returns: true or false.
Errors: TK404, no such job. Takes no lock.';

REVOKE ALL ON FUNCTION tallymark.verify_job(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.verify_job(text) TO tallymark_reader, tallymark_admin;
