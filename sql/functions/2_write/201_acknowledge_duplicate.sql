-- Builds the answer to an update that was accepted before.

CREATE OR REPLACE FUNCTION tallymark.acknowledge_duplicate(
  job tallymark.job, key text, payload jsonb, with_resume boolean DEFAULT true
) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  v_first tallymark.job_event;
BEGIN
  SELECT e.* INTO v_first FROM tallymark.job_event AS e
  WHERE e.job_id = acknowledge_duplicate.job.id AND e.update_key = acknowledge_duplicate.key;
  IF NOT FOUND THEN -- it was pruned, so its content is no longer known
    SELECT p.seq INTO STRICT v_first.seq FROM tallymark.pruned_update AS p
    WHERE p.job_id = acknowledge_duplicate.job.id
      AND p.key_digest = tallymark.key_digest(acknowledge_duplicate.key);
    v_first.payload := acknowledge_duplicate.payload;
    v_first.details := jsonb_build_object('counted', tallymark.first_counts(
      acknowledge_duplicate.job.id, v_first.seq, acknowledge_duplicate.payload -> 'itemKeys'));
  END IF;
  RETURN tallymark.acknowledgement(acknowledge_duplicate.job, v_first.seq, true, acknowledge_duplicate.payload,
    -- In ledgers of older releases, the update that completed the job has no doneBeyond.
    CASE WHEN v_first.payload IN (acknowledge_duplicate.payload, acknowledge_duplicate.payload - 'doneBeyond') THEN '[]'
      ELSE '["another update with this updateId was accepted before; only that one counts"]'::jsonb END,
    acknowledge_duplicate.with_resume)
    || coalesce(tallymark.item_counts(v_first.payload -> 'itemKeys', v_first.details -> 'counted'), '{}');
END
$$;

COMMENT ON FUNCTION tallymark.acknowledge_duplicate(tallymark.job, text, jsonb, boolean) IS
'Builds the answer to an update that was accepted before.
Arguments: job: its state; key: the update''s key, which is in the job''s ledger, or was before it was pruned; payload:
the update as it came now; with_resume: whether the answer may have resume.
Returns: the acknowledgement, with the seq and the counts of keys of the first time, duplicate true, and a warning
where the updateId was
used for another content, as far as that is still known.';

REVOKE ALL ON FUNCTION tallymark.acknowledge_duplicate(tallymark.job, text, jsonb, boolean) FROM PUBLIC;
