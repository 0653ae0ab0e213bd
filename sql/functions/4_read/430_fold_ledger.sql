-- Computes the state of a job from its ledger alone.

CREATE OR REPLACE FUNCTION tallymark.fold_ledger(job_id text, up_to_seq bigint DEFAULT NULL) RETURNS tallymark.job
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  v_state tallymark.job := tallymark.fold_updates(fold_ledger.job_id, fold_ledger.up_to_seq);
  v_areas jsonb;
  v_items jsonb;
BEGIN
  -- Areas are counted by the type that they have after all updates.
  IF v_state.progress ? 'lastAreasDiscovery' THEN
    SELECT jsonb_build_object('groups', count(*) FILTER (WHERE a.details ->> 'type' = 'group'),
      'projects', count(*) FILTER (WHERE a.details ->> 'type' = 'project'))
    INTO v_areas FROM tallymark.fold_areas(fold_ledger.job_id, fold_ledger.up_to_seq) AS a;
    v_state := tallymark.with_area_counts(v_state, v_areas);
  END IF;

  -- The keys of items are a set. Its size does not depend on the order of the updates.
  SELECT jsonb_object_agg(t.type, t.keys) INTO v_items
  FROM (
    SELECT i.type, count(*) AS keys FROM tallymark.fold_items(fold_ledger.job_id, fold_ledger.up_to_seq) AS i
    GROUP BY i.type
  ) AS t;
  IF v_items IS NOT NULL THEN
    v_state := tallymark.with_area_counts(v_state, v_items);
  END IF;

  SELECT c.command, c.seq INTO v_state.requested_command, v_state.command_seq
  FROM tallymark.pending_command(fold_ledger.job_id, fold_ledger.up_to_seq) AS c;

  v_state.pruned_seq := coalesce(
    (SELECT b.seq FROM tallymark.job_baseline AS b WHERE b.job_id = fold_ledger.job_id), 0);
  SELECT coalesce(max(e.seq), v_state.pruned_seq) INTO v_state.last_seq FROM tallymark.job_event AS e
  WHERE e.job_id = fold_ledger.job_id AND (fold_ledger.up_to_seq IS NULL OR e.seq <= fold_ledger.up_to_seq);
  RETURN v_state;
END
$$;

COMMENT ON FUNCTION tallymark.fold_ledger(text, bigint) IS
'Computes the state of a job again from its ledger alone; where events were pruned, from the baseline and the events
after it.
Arguments: job_id: the job; up_to_seq: the number of the last event that counts, null for all, not below
job.pruned_seq.
Returns: a row of tallymark.job with the columns that follow from the updates; the others are null.';

REVOKE ALL ON FUNCTION tallymark.fold_ledger(text, bigint) FROM PUBLIC;
