-- Gives a text that identifies a state of a job, for callers that poll for a newer one.

CREATE OR REPLACE FUNCTION tallymark.job_tag(created_at timestamptz, last_seq bigint, mark bigint) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
-- When it was made tells a job from an earlier one of the same id, the mark a ledger from another one that was restored.
RETURN to_hex((extract(epoch FROM created_at) * 1000000)::bigint) || '-' || last_seq || '-' || to_hex(mark);

COMMENT ON FUNCTION tallymark.job_tag(timestamptz, bigint, bigint) IS
'Gives a text that identifies a state of a job, for callers that poll for a newer one.
Arguments: created_at, last_seq: those of the job; mark: what job_mark gives for it.
Returns: hexadecimal digits, a hyphen, decimal digits, a hyphen, and hexadecimal digits.';

REVOKE ALL ON FUNCTION tallymark.job_tag(timestamptz, bigint, bigint) FROM PUBLIC;
