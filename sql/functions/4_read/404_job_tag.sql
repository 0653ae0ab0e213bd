-- Gives a text that identifies a state of a job, for callers that poll for a newer one.

CREATE OR REPLACE FUNCTION tallymark.job_tag(created_at timestamptz, last_seq bigint) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
-- When it was made tells a job from an earlier one of the same id.
RETURN to_hex((extract(epoch FROM created_at) * 1000000)::bigint) || '-' || last_seq;

COMMENT ON FUNCTION tallymark.job_tag(timestamptz, bigint) IS
'Gives a text that identifies a state of a job, for callers that poll for a newer one.
Arguments: created_at, last_seq: those of the job.
Returns: hexadecimal digits, a hyphen, and decimal digits.';

REVOKE ALL ON FUNCTION tallymark.job_tag(timestamptz, bigint) FROM PUBLIC;
