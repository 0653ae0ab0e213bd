-- The core: merges one update into its job and appends it to the ledger, or changes nothing at all.

CREATE OR REPLACE FUNCTION tallymark.merge_progress(job_id text, payload jsonb) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  v_canonical text;
  v_update jsonb := merge_progress.payload;
  v_at timestamptz;
  v_warnings jsonb := '[]'::jsonb;
  v_is_plain boolean;
  v_prepared jsonb;
  v_key text;
  v_job tallymark.job;
  v_next tallymark.job;
  v_now timestamptz;
  v_event text;
  v_facts jsonb;
  v_counted jsonb;
  v_own integer := 0; -- how many events of its own the update has
BEGIN
  -- 1. Judge the update by itself; none of this needs the job. Most updates are plain and need no preparation.
  v_canonical := CASE WHEN NOT tallymark.has_huge_number(v_update) THEN v_update::text END;
  v_at := tallymark.parse_timestamp(v_update ->> 'timestamp');
  v_is_plain := tallymark.is_plain_update(merge_progress.job_id, v_update, v_canonical, v_at);
  IF v_is_plain IS NOT TRUE THEN
    IF v_canonical IS NULL AND v_update IS NOT NULL THEN -- it has a huge number
      PERFORM tallymark.refuse_update('{}', '{}', tallymark.number_problem(v_update));
    END IF;
    v_prepared := tallymark.prepare_update(merge_progress.job_id, v_update);
    v_update := v_prepared -> 'update';
    v_warnings := v_prepared -> 'warnings';
  END IF;
  v_key := tallymark.update_key(v_update, v_canonical);

  -- 2. Lock order: the job's row first, then its ledger; several jobs in the order of their ids. All state below is
  -- read under this lock.
  IF to_regclass('pg_catalog.pg_dist_partition') IS NOT NULL THEN
    PERFORM tallymark.keep_shards(ARRAY[merge_progress.job_id], ARRAY[v_update]);
  END IF;
  SELECT j.* INTO v_job FROM tallymark.job AS j WHERE j.id = merge_progress.job_id FOR NO KEY UPDATE;
  IF NOT FOUND THEN
    PERFORM tallymark.refuse_unknown_job(merge_progress.job_id);
  END IF;
  v_now := clock_timestamp();
  IF (v_at <= v_now) IS NOT TRUE THEN -- an update without a timestamp also counts as of now
    IF v_at > v_now THEN
      v_warnings := v_warnings || tallymark.clock_warning(v_now);
    END IF;
    v_at := v_now;
  END IF;
  IF v_job.attributes ->> 'counting' IS NOT NULL AND NOT v_update ? 'counting' THEN
    -- Stored with the update, so that a fold needs only the ledger.
    v_update := v_update || jsonb_build_object('counting', v_job.attributes -> 'counting');
  END IF;

  IF v_job.pruned_seq > 0 THEN
    IF tallymark.is_pruned(v_job.id, v_key) THEN -- its key is no longer in the ledger
      RETURN tallymark.acknowledge_duplicate(v_job, v_key, v_update);
    END IF;
  END IF;

  -- 3. Merge in memory, append to the ledger, store. A duplicate ends at the ledger, which has its key already.
  IF v_is_plain THEN -- it has neither areas nor keys of items nor a timeline
    v_next := tallymark.merge_state(v_job, v_at, v_key, v_update);
  ELSE
    IF v_update ?| '{areas,itemKeys}' THEN
      -- These are stored before the event, so a duplicate must be recognised here.
      IF EXISTS (
        SELECT 1 FROM tallymark.job_event AS e WHERE e.job_id = merge_progress.job_id AND e.update_key = v_key)
      THEN
        RETURN tallymark.acknowledge_duplicate(v_job, v_key, v_update);
      END IF;
    END IF;
    IF v_update ? 'itemKeys' THEN
      v_counted := tallymark.merge_item_keys(v_job.id, v_job.last_seq + 1, v_update -> 'itemKeys');
      v_facts := jsonb_build_object('counted', v_counted);
    END IF;
    v_next := tallymark.merge_state(v_job, v_at, v_key,
      CASE WHEN v_counted IS NULL THEN v_update ELSE v_update || jsonb_build_object('itemKeys', v_counted) END);
    IF v_update ? 'areas' THEN
      v_next := tallymark.with_area_counts(v_next,
        tallymark.merge_areas(merge_progress.job_id, v_at, v_key, v_update -> 'areas'));
    END IF;
    v_own := coalesce(jsonb_array_length(v_update -> 'timeline'), 0);
  END IF;
  v_next.last_seq := v_job.last_seq + 1;
  IF v_job.requested_command IS NOT NULL THEN
    v_next := tallymark.heed_command(v_next, v_at, v_update);
  END IF;
  v_event := tallymark.event_kind(v_update, v_job.progress -> 'stage' IS DISTINCT FROM v_next.progress -> 'stage');
  IF v_event <> 'progress_update' THEN
    v_facts := nullif(coalesce(v_facts, '{}')
      || coalesce(tallymark.event_facts(v_event, v_at, v_job, v_next), '{}'), '{}');
  END IF;
  INSERT INTO tallymark.job_event AS e (job_id, seq, event, update_key, occurred_at, recorded_at, payload, details)
  VALUES (merge_progress.job_id, v_next.last_seq, v_event, v_key, v_at, v_now, v_update, v_facts)
  ON CONFLICT ON CONSTRAINT job_event_update_key DO NOTHING;
  IF NOT FOUND THEN
    RETURN tallymark.acknowledge_duplicate(v_job, v_key, v_update);
  END IF;
  UPDATE tallymark.job AS j SET
    status = v_next.status, progress = v_next.progress, facets = v_next.facets, workers = v_next.workers,
    newest_at = v_next.newest_at, newest_key = v_next.newest_key, newest_fields = v_next.newest_fields,
    clocks = v_next.clocks, resume_state = v_next.resume_state, started_at = v_next.started_at,
    finished_at = v_next.finished_at, updated_at = v_now, requested_command = v_next.requested_command,
    command_seq = v_next.command_seq, last_seq = v_next.last_seq + v_own
  WHERE j.id = merge_progress.job_id;
  IF v_is_plain IS NOT TRUE THEN
    IF v_own > 0 THEN
      PERFORM tallymark.append_own_events(v_next.id, v_next.last_seq, v_now, v_update -> 'timeline');
    END IF;
    IF v_counted IS NOT NULL THEN
      RETURN tallymark.acknowledgement(v_next, v_next.last_seq, false, v_update, v_warnings)
        || tallymark.item_counts(v_update -> 'itemKeys', v_counted);
    END IF;
  END IF;

  RETURN coalesce(
    tallymark.plain_acknowledgement(v_next.id, v_next.requested_command, v_next.last_seq, v_update, v_warnings),
    tallymark.acknowledgement(v_next, v_next.last_seq, false, v_update, v_warnings));
END
$$;

COMMENT ON FUNCTION tallymark.merge_progress(text, jsonb) IS
'Merges an update into its job and appends it to the job''s ledger, atomically and once. The update is there when the
transaction commits; a rollback leaves nothing of it. Many updates go faster through merge_progress_batch.
Arguments: job_id: a registered job; payload: the update, a JSON object in the shape of the wire protocol, at most 1
MiB as JSON without blanks. Unlike over HTTP, taskId may be left out; without a status the update counts as
processing, without a timestamp as of now. The same updateId counts once on a job, however often it is sent; without
an updateId the same content counts once, since the timestamp is part of it. An update with neither updateId nor
timestamp counts at every call, because nothing tells a retry from a second update: give one of them whenever the call
may be repeated.
Returns: {"status": "received", "message", "seq": the number of the update''s event, "duplicate": whether it was in the
ledger already, "warnings": [texts], "command": pause, resume or cancel, which an operator asks of the crawler, or
null}. For the status started also "resume": {"lastProcessedId", "resumeState", "itemsByType", "processedItems",
"doneBeyond"},
"newestTimestamp" and "worker": {"processedItems", "itemsByType"}; for a status that ends the job also "finalCounts":
{"processedItems", "totalItems", "itemsByType"}; for credential_* also "credentialGuidance": [texts]; where the
update has itemKeys also "counted" and "seenBefore": {"type": how many of its keys were new to the job, and how many
were not}.
Errors: TK400 where the update is not valid, with all problems in DETAIL as a JSON array of {"field", "problem"};
TK404 where there is no such job; TK413 where the update is too large. Nothing of the update is kept then.
Callers: tallymark_writer, tallymark_admin.
Locks: the job''s row, until the end of the transaction, so keep the transaction short. A caller that updates several
jobs in one transaction must do so in the order of their ids, by their bytes (ORDER BY id COLLATE "C"), to avoid
deadlocks.
Example: SELECT tallymark.merge_progress(''job_1'', ''{"status": "processing", "timestamp": "2025-01-06T19:15:30.000Z",
"processedItems": 150, "itemsByType": {"issues": 50}}'');';

REVOKE ALL ON FUNCTION tallymark.merge_progress(text, jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.merge_progress(text, jsonb) TO tallymark_writer, tallymark_admin;
