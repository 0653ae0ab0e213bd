-- Folds old events of a job into its baseline, a part at a time, while crawlers report on it.

CREATE OR REPLACE FUNCTION tallymark.prune_job(
  job_id text, older_than timestamptz, keep_newest integer DEFAULT 100, max_events integer DEFAULT 1000
) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET TimeZone = 'UTC' -- the form of times in JSON
AS $$
DECLARE
  c_pruning CONSTANT integer := 1886548590; -- the class of our advisory locks, "prun"
  v_most CONSTANT integer := least(greatest(coalesce(prune_job.max_events, 1000), 1), 10000);
  v_keep CONSTANT integer := greatest(coalesce(prune_job.keep_newest, 100), 0);
  v_job tallymark.job;
  v_to bigint;
  v_state jsonb;
  v_after timestamptz;
  v_updates bigint;
  v_pace tallymark.job_pace;
  v_folded timestamptz;
BEGIN
  PERFORM tallymark.keep_shards(ARRAY[prune_job.job_id]);
  -- 1. One prune_job at a time. Crawlers do not take this lock, so they do not wait yet. Such locks belong to a server, so
  -- a query takes it that runs where the job is.
  PERFORM pg_advisory_xact_lock(c_pruning, hashtext(j.id)) FROM tallymark.job AS j WHERE j.id = prune_job.job_id;
  SELECT j.* INTO v_job FROM tallymark.job AS j WHERE j.id = prune_job.job_id;
  IF NOT FOUND THEN
    PERFORM tallymark.refuse_unknown_job(prune_job.job_id);
  END IF;
  SELECT max(o.seq) INTO v_to
  FROM (
    SELECT n.seq, bool_and(n.recorded_at < prune_job.older_than) OVER (ORDER BY n.seq) AS is_old
    FROM (
      SELECT e.seq, e.recorded_at FROM tallymark.job_event AS e
      WHERE e.job_id = v_job.id AND e.seq > v_job.pruned_seq AND e.seq <= v_job.last_seq - v_keep
      ORDER BY e.seq LIMIT v_most
    ) AS n
  ) AS o
  WHERE o.is_old;
  IF v_to IS NULL THEN
    RETURN jsonb_build_object('id', v_job.id, 'events', 0, 'prunedSeq', v_job.pruned_seq, 'more', false);
  END IF;

  -- 2. Fold the events. They never change again, so this needs no lock either.
  SELECT (
      SELECT jsonb_object_agg(s.key, s.value)
      FROM jsonb_each(to_jsonb(f) || jsonb_build_object('requested_command', c.command, 'command_seq', c.seq)) AS s
      WHERE s.key = ANY (tallymark.state_columns())), c.after
  INTO v_state, v_after
  FROM tallymark.fold_updates(v_job.id, v_to) AS f, tallymark.pending_command(v_job.id, v_to) AS c;
  v_state := v_state
    || tallymark.without_nulls(jsonb_build_object('waits', tallymark.waits_to_keep(v_job.id, v_to)));
  IF v_job.series IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM tallymark.job_pace AS p WHERE p.job_id = v_job.id AND p.seq >= v_to)
  THEN
    v_pace := tallymark.run_pace(v_job.id); -- later runs are held against it
  END IF;
  IF EXISTS (SELECT 1 FROM tallymark.job_event AS e
    WHERE e.job_id = v_job.id AND e.seq <= v_to AND e.payload ? 'areas')
  THEN
    INSERT INTO tallymark.job_baseline_area AS b (job_id, full_path, details, clocks, discovered_at)
    SELECT v_job.id, a.full_path, a.details, a.clocks, a.discovered_at FROM tallymark.fold_areas(v_job.id, v_to) AS a
    ON CONFLICT ON CONSTRAINT job_baseline_area_pkey DO UPDATE
    SET details = excluded.details, clocks = excluded.clocks, discovered_at = excluded.discovered_at
    WHERE b.details <> excluded.details OR b.clocks <> excluded.clocks OR b.discovered_at <> excluded.discovered_at;
  END IF;
  INSERT INTO tallymark.pruned_update (job_id, key_digest, seq)
  SELECT e.job_id, tallymark.key_digest(e.update_key), e.seq FROM tallymark.job_event AS e
  WHERE e.job_id = v_job.id AND e.seq <= v_to AND e.payload IS NOT NULL;
  GET DIAGNOSTICS v_updates = ROW_COUNT;

  -- 3. Lock order: the job's row, then its ledger, as in a merge. A merge that waits for the row finds the keys of the
  -- pruned updates once it has the row.
  PERFORM 1 FROM tallymark.job AS j WHERE j.id = v_job.id FOR NO KEY UPDATE;
  IF NOT FOUND THEN -- the job was deleted meanwhile
    PERFORM tallymark.refuse_unknown_job(v_job.id);
  END IF;
  IF v_pace.seq IS NOT NULL THEN
    PERFORM tallymark.store_pace(v_pace);
  END IF;
  DELETE FROM tallymark.job_event AS e WHERE e.job_id = v_job.id AND e.seq <= v_to;
  v_updates := v_updates
    + coalesce((SELECT b.updates FROM tallymark.job_baseline AS b WHERE b.job_id = v_job.id), 0);
  v_folded := clock_timestamp();
  INSERT INTO tallymark.job_baseline AS b (job_id, seq, updates, state, command_after, digest, folded_at)
  VALUES (v_job.id, v_to, v_updates, v_state, v_after,
    tallymark.baseline_digest(v_job.id, v_to, v_updates, v_state, v_after), v_folded)
  ON CONFLICT ON CONSTRAINT job_baseline_pkey DO UPDATE
  SET seq = excluded.seq, updates = excluded.updates, state = excluded.state, command_after = excluded.command_after,
    digest = excluded.digest, folded_at = excluded.folded_at;
  UPDATE tallymark.job AS j SET pruned_seq = v_to WHERE j.id = v_job.id;
  RETURN jsonb_build_object('id', v_job.id, 'events', v_to - v_job.pruned_seq, 'prunedSeq', v_to,
    'more', v_to - v_job.pruned_seq >= v_most);
END
$$;

COMMENT ON FUNCTION tallymark.prune_job(text, timestamptz, integer, integer) IS
'Folds the oldest events of a job into its baseline and deletes them from the ledger. The state of the job stays as it
is. The fold of the baseline and the rest still gives that state, and waiting_times the same sums. How a run of a series
went is noted. A pruned update is
still recognised when it comes again. Call it alone in a transaction, and again while more is true.
Arguments: job_id: a registered job; older_than: events that were recorded before this are old; keep_newest: how many
of the newest events stay however old they are, null for 100; max_events: how many events at most, 1 to 10000, null
for 1000.
Returns: {"id", "events": how many were pruned, "prunedSeq": the number of the last pruned event, 0 where there is
none, "more": whether another call may prune more}.
Errors: TK404 where there is no such job; TK400 where job_id is null, empty or too long.
Callers: tallymark_admin.
Locks: one prune_job of a job at a time; the job''s row only while the events are deleted, not while they are folded.';

REVOKE ALL ON FUNCTION tallymark.prune_job(text, timestamptz, integer, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.prune_job(text, timestamptz, integer, integer) TO tallymark_admin;
