-- Whether a job of this status has ended.

CREATE OR REPLACE FUNCTION tallymark.is_terminal(job_status text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN job_status IN ('finished', 'failed', 'cancelled');

COMMENT ON FUNCTION tallymark.is_terminal(text) IS
'Whether a job of this status has ended.
Arguments: job_status, the status of a job (not that of an update).
Returns: true for finished, failed and cancelled; null for null.';

REVOKE ALL ON FUNCTION tallymark.is_terminal(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.is_terminal(text) TO tallymark_reader, tallymark_admin;
