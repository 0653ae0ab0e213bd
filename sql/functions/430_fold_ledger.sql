-- The state of a job, folded from its ledger alone.

CREATE OR REPLACE FUNCTION tallymark.fold_ledger(job_id text, up_to_seq bigint DEFAULT NULL) RETURNS tallymark.job
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  v_state tallymark.job;
  v_event tallymark.job_event;
  v_areas jsonb;
BEGIN
  SELECT fold_ledger.job_id, 'queued', '{}', '{}', '{}', '{}', 0
  INTO v_state.id, v_state.status, v_state.progress, v_state.facets, v_state.newest_fields, v_state.clocks,
    v_state.last_seq;
  -- In the order in which the updates happened, not that in which they came: the state must be the same, and a state
  -- that depends on how they came would show here.
  FOR v_event IN
    SELECT e.* FROM tallymark.job_event AS e
    WHERE e.job_id = fold_ledger.job_id AND e.payload IS NOT NULL
      AND (fold_ledger.up_to_seq IS NULL OR e.seq <= fold_ledger.up_to_seq)
    ORDER BY e.occurred_at, e.update_key
  LOOP
    v_state := tallymark.merge_state(v_state, v_event.occurred_at, v_event.update_key, v_event.payload);
  END LOOP;

  -- Areas are counted by what they are after all of the updates.
  IF v_state.progress ? 'lastAreasDiscovery' THEN
    SELECT jsonb_build_object('groups', count(*) FILTER (WHERE a.details ->> 'type' = 'group'),
      'projects', count(*) FILTER (WHERE a.details ->> 'type' = 'project'))
    INTO v_areas FROM tallymark.fold_areas(fold_ledger.job_id, fold_ledger.up_to_seq) AS a;
    v_state := tallymark.with_area_counts(v_state, v_areas);
  END IF;

  -- The last command, unless one of the updates obeyed it.
  SELECT e.details ->> 'command', e.seq INTO v_state.requested_command, v_state.command_seq
  FROM tallymark.job_event AS e
  WHERE e.job_id = fold_ledger.job_id AND e.update_key LIKE '!%'
    AND (fold_ledger.up_to_seq IS NULL OR e.seq <= fold_ledger.up_to_seq)
    AND NOT EXISTS (
      SELECT FROM tallymark.job_event AS u
      WHERE u.job_id = e.job_id AND u.payload IS NOT NULL
        AND (fold_ledger.up_to_seq IS NULL OR u.seq <= fold_ledger.up_to_seq)
        AND (u.occurred_at > (e.details ->> 'after')::timestamptz
          OR (u.occurred_at = (e.details ->> 'after')::timestamptz
            AND tallymark.is_terminal(tallymark.job_status(u.payload ->> 'status')) IS TRUE)) IS NOT FALSE
        AND tallymark.obeys(e.details ->> 'command',
          tallymark.job_status(coalesce(u.payload ->> 'status', 'processing'))))
    AND NOT EXISTS (
      SELECT FROM tallymark.job_event AS later
      WHERE later.job_id = e.job_id AND later.update_key LIKE '!%' AND later.seq > e.seq
        AND (fold_ledger.up_to_seq IS NULL OR later.seq <= fold_ledger.up_to_seq));

  SELECT coalesce(max(e.seq), 0) INTO v_state.last_seq FROM tallymark.job_event AS e
  WHERE e.job_id = fold_ledger.job_id AND (fold_ledger.up_to_seq IS NULL OR e.seq <= fold_ledger.up_to_seq);
  RETURN v_state;
END
$$;

COMMENT ON FUNCTION tallymark.fold_ledger(text, bigint) IS
'The state of a job, folded anew from its ledger alone.
Arguments: job_id; up_to_seq, the number of the last event that counts, null for all.
Returns: a row of tallymark.job with the columns that follow from the updates; the others are null.';

REVOKE ALL ON FUNCTION tallymark.fold_ledger(text, bigint) FROM PUBLIC;
