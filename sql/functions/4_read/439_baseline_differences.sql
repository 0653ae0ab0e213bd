-- Finds where the baseline of a job is not what prune_job stored.

CREATE OR REPLACE FUNCTION tallymark.baseline_differences(job_id text)
RETURNS TABLE (seq bigint, field text, stored jsonb, folded jsonb)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  v_baseline tallymark.job_baseline;
  v_keys bigint;
BEGIN
  SELECT b.* INTO v_baseline FROM tallymark.job_baseline AS b WHERE b.job_id = baseline_differences.job_id;
  IF v_baseline.digest IS DISTINCT FROM tallymark.baseline_digest(v_baseline.job_id, v_baseline.seq,
    v_baseline.updates, v_baseline.state, v_baseline.command_after) AND v_baseline.job_id IS NOT NULL
  THEN
    RETURN QUERY SELECT v_baseline.seq, 'baseline'::text, to_jsonb(v_baseline) - 'job_id', NULL::jsonb;
  END IF;
  SELECT count(*) INTO v_keys FROM tallymark.pruned_update AS p WHERE p.job_id = baseline_differences.job_id;
  IF v_keys <> coalesce(v_baseline.updates, 0) THEN
    RETURN QUERY SELECT coalesce(v_baseline.seq, 0), 'pruned keys'::text, to_jsonb(v_keys),
      to_jsonb(coalesce(v_baseline.updates, 0));
  END IF;
END
$$;

COMMENT ON FUNCTION tallymark.baseline_differences(text) IS
'Finds where the baseline of a job is not what prune_job stored: it was changed, or keys of its updates are missing.
Returns: rows as those of verify_differences; none where all is well or nothing was pruned.';

REVOKE ALL ON FUNCTION tallymark.baseline_differences(text) FROM PUBLIC;
