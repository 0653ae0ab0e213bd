-- What tells a state of a job from all others.

CREATE OR REPLACE FUNCTION tallymark.job_tag(created_at timestamptz, last_seq bigint) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
-- When it was made tells a job from an earlier one of the same id.
RETURN to_hex((extract(epoch FROM created_at) * 1000000)::bigint) || '-' || last_seq;

COMMENT ON FUNCTION tallymark.job_tag(timestamptz, bigint) IS
'What tells a state of a job from all others, for those who ask whether there is a newer one.
Arguments: created_at and last_seq of the job.
Returns: the tag: hexadecimal digits, a hyphen, and digits.';

REVOKE ALL ON FUNCTION tallymark.job_tag(timestamptz, bigint) FROM PUBLIC;
