-- Tells whether a job with this status has ended.

CREATE OR REPLACE FUNCTION tallymark.is_terminal(job_status text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN job_status IN ('finished', 'failed', 'cancelled');

COMMENT ON FUNCTION tallymark.is_terminal(text) IS
'Tells whether a job with this status has ended. Pure: it reads no table.
Arguments: job_status: the status of a job, not that of an update.
Returns: true for finished, failed and cancelled; false for any other; null for null.
Callers: tallymark_reader, tallymark_admin.';

REVOKE ALL ON FUNCTION tallymark.is_terminal(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.is_terminal(text) TO tallymark_reader, tallymark_admin;
