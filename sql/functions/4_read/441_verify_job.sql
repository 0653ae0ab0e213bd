-- Tells whether the stored state of a job is the fold of its ledger.

CREATE OR REPLACE FUNCTION tallymark.verify_job(job_id text) RETURNS boolean
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  v_verified boolean := NOT EXISTS (SELECT 1 FROM tallymark.verify_differences(verify_job.job_id));
BEGIN
  IF NOT v_verified AND to_regclass('pg_catalog.pg_dist_partition') IS NOT NULL THEN
    -- On another server than the job's, each query has a snapshot of its own, and an update between two of them looks like
    -- a difference. As a statement by itself, verify_page runs where the job is. It sees nothing of this transaction.
    EXECUTE 'SELECT coalesce((SELECT a.result::jsonb -> ''verified'' FROM run_command_on_coordinator($1) AS a
      WHERE a.success), ''false'')::boolean'
    INTO v_verified USING format('SELECT tallymark.verify_page(%L)', verify_job.job_id);
  END IF;
  RETURN v_verified;
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
