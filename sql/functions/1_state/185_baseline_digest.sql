-- By which a baseline that was changed by other means is noticed.

CREATE OR REPLACE FUNCTION tallymark.baseline_digest(
  job_id text, seq bigint, updates bigint, state jsonb, command_after timestamptz
) RETURNS bytea
LANGUAGE sql STABLE PARALLEL SAFE
RETURN sha256(convert_to(jsonb_build_array(job_id, seq, updates, state,
  (extract(epoch FROM command_after) * 1000000)::bigint)::text, 'UTF8'));

COMMENT ON FUNCTION tallymark.baseline_digest(text, bigint, bigint, jsonb, timestamptz) IS
'The digest of a baseline: the events that it stands for are gone, so this is what shows a change from elsewhere.
Arguments: the columns of tallymark.job_baseline.
Returns: SHA-256 of them.';

REVOKE ALL ON FUNCTION tallymark.baseline_digest(text, bigint, bigint, jsonb, timestamptz) FROM PUBLIC;
