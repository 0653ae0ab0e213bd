-- Gives the digest by which a baseline that was changed by hand is found.

CREATE OR REPLACE FUNCTION tallymark.baseline_digest(
  job_id text, seq bigint, updates bigint, state jsonb, command_after timestamptz
) RETURNS bytea
LANGUAGE sql STABLE PARALLEL SAFE
RETURN sha256(convert_to(jsonb_build_array(job_id, seq, updates, state,
  (extract(epoch FROM command_after) * 1000000)::bigint)::text, 'UTF8'));

COMMENT ON FUNCTION tallymark.baseline_digest(text, bigint, bigint, jsonb, timestamptz) IS
'Gives the digest of a baseline. The events that the baseline stands for are gone, so only this shows that somebody
changed it.
Arguments: the columns of tallymark.job_baseline.
Returns: their SHA-256.';

REVOKE ALL ON FUNCTION tallymark.baseline_digest(text, bigint, bigint, jsonb, timestamptz) FROM PUBLIC;
