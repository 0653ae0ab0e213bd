-- Merges the updates of a job again: the baseline and the ledger after it.

CREATE OR REPLACE FUNCTION tallymark.fold_updates(job_id text, up_to_seq bigint DEFAULT NULL) RETURNS tallymark.job
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  v_baseline CONSTANT jsonb := (
    SELECT b.state FROM tallymark.job_baseline AS b WHERE b.job_id = fold_updates.job_id);
  v_state tallymark.job;
  v_event tallymark.job_event;
BEGIN
  -- The pruned updates have become the state to begin with. The state does not depend on the order of the updates, so
  -- this holds even where updates in the ledger happened before some of the pruned ones.
  v_state := jsonb_populate_record(NULL::tallymark.job, v_baseline);
  IF v_state.status IS NULL THEN
    SELECT 'queued', '{}', '{}', '{}', '{}'
    INTO v_state.status, v_state.progress, v_state.facets, v_state.newest_fields, v_state.clocks;
  END IF;
  v_state.id := fold_updates.job_id;
  -- In the order in which the updates happened, not in which they arrived: the state must be the same, and a state that
  -- depended on the order of arrival would show here.
  FOR v_event IN
    SELECT e.* FROM tallymark.job_event AS e
    WHERE e.job_id = fold_updates.job_id AND e.payload IS NOT NULL
      AND (fold_updates.up_to_seq IS NULL OR e.seq <= fold_updates.up_to_seq)
    ORDER BY e.occurred_at, e.update_key
  LOOP
    -- The keys of items are counted as one set, by fold_ledger.
    v_state := tallymark.merge_state(v_state, v_event.occurred_at, v_event.update_key, v_event.payload - 'itemKeys');
  END LOOP;
  RETURN v_state;
END
$$;

COMMENT ON FUNCTION tallymark.fold_updates(text, bigint) IS
'Merges the updates of a job again, without its areas, the keys of its items and its commands, which
fold_ledger adds.
Arguments: job_id: the job; up_to_seq: the number of the last event that counts, null for all, not below
job.pruned_seq.
Returns: a row of tallymark.job with the columns that follow from the updates; the others are null.';

REVOKE ALL ON FUNCTION tallymark.fold_updates(text, bigint) FROM PUBLIC;
