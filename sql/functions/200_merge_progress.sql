-- The heart: one update is merged into its job and put on the record, or changes nothing at all.

CREATE OR REPLACE FUNCTION tallymark.merge_progress(job_id text, payload jsonb) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  c_most_bytes CONSTANT integer := 1048576;
  v_canonical text;
  v_update jsonb := merge_progress.payload;
  v_at timestamptz;
  v_warnings jsonb := '[]'::jsonb;
  v_prepared jsonb;
  v_key text;
  v_job tallymark.job;
  v_next tallymark.job;
  v_now timestamptz;
  v_event text;
BEGIN
  IF tallymark.has_huge_number(v_update) THEN
    PERFORM tallymark.refuse_update('{}', '{}', '[{"field": "", "problem": "must have no number beyond 1e308"}]');
  END IF;
  v_canonical := v_update::text;
  v_at := tallymark.parse_timestamp(v_update ->> 'timestamp');

  -- 1. Judge the update by itself; none of this needs the job. Most are plain and valid as they are, and too short for
  -- anything in them to be cut, which begins at 1000 characters.
  IF v_at IS NULL OR octet_length(v_canonical) > 1000 OR strpos(v_canonical, ': null') > 0
    OR v_update ?| '{processed,total,groupCount,projectCount,errorTimestamp,lastAreasDiscovery,areas,timeline}'
    OR tallymark.is_valid_update(merge_progress.job_id, v_update) IS NOT TRUE
  THEN
    IF octet_length(v_canonical) > c_most_bytes AND tallymark.json_bytes(v_update) > c_most_bytes THEN
      RAISE EXCEPTION USING ERRCODE = 'TK413', MESSAGE = 'Progress payload too large', DETAIL = format(
        'The update takes %s bytes as JSON; at most %s are taken.', tallymark.json_bytes(v_update), c_most_bytes);
    END IF;
    v_prepared := tallymark.prepare_update(merge_progress.job_id, v_update);
    v_update := v_prepared -> 'update';
    v_warnings := v_prepared -> 'warnings';
  END IF;
  v_key := tallymark.update_key(v_update, v_canonical);

  -- 2. Lock order: the job's row first, then its ledger; several jobs in the order of their ids. All state below is
  -- read under this lock.
  v_job := (SELECT j FROM tallymark.job AS j WHERE j.id = merge_progress.job_id FOR NO KEY UPDATE);
  IF v_job.id IS NULL THEN
    PERFORM tallymark.refuse_unknown_job(merge_progress.job_id);
  END IF;
  v_now := clock_timestamp();
  IF v_at > v_now THEN
    v_warnings := v_warnings || jsonb_build_array(format(
      'timestamp is ahead of the server''s clock, which says %s; the update counts as of now',
      tallymark.iso_timestamp(v_now)));
  END IF;
  v_at := least(v_at, v_now); -- an update without a timestamp is of now, too
  IF v_job.attributes ->> 'counting' IS NOT NULL AND NOT v_update ? 'counting' THEN
    -- Kept with the update, so that a fold needs nothing else.
    v_update := v_update || jsonb_build_object('counting', v_job.attributes -> 'counting');
  END IF;

  -- 3. Merge in memory, append to the ledger, store. A duplicate ends at the ledger, where its key stands already.
  v_next := tallymark.merge_state(v_job, v_at, v_key, v_update);
  v_next.last_seq := v_job.last_seq + 1;
  v_event := tallymark.event_kind(v_update, v_job.progress -> 'stage' IS DISTINCT FROM v_next.progress -> 'stage');
  INSERT INTO tallymark.job_event AS e (job_id, seq, event, update_key, occurred_at, recorded_at, payload, details)
  VALUES (merge_progress.job_id, v_next.last_seq, v_event, v_key, v_at, v_now, v_update,
    CASE WHEN v_event <> 'progress_update' THEN tallymark.event_facts(v_event, v_at, v_job, v_next) END)
  ON CONFLICT ON CONSTRAINT job_event_update_key DO NOTHING;
  IF NOT FOUND THEN
    RETURN tallymark.acknowledge_duplicate(v_job, v_key, v_update);
  END IF;
  UPDATE tallymark.job AS j SET
    status = v_next.status, progress = v_next.progress, facets = v_next.facets, workers = v_next.workers,
    newest_at = v_next.newest_at, newest_key = v_next.newest_key, newest_fields = v_next.newest_fields,
    clocks = v_next.clocks, resume_state = v_next.resume_state, started_at = v_next.started_at,
    finished_at = v_next.finished_at, updated_at = v_now, last_seq = CASE WHEN v_update ? 'timeline'
      THEN tallymark.append_own_events(j.id, v_next.last_seq, v_now, v_update -> 'timeline') ELSE v_next.last_seq END
  WHERE j.id = merge_progress.job_id;

  RETURN tallymark.acknowledgement(v_next, v_next.last_seq, false, v_update, v_warnings);
END
$$;

COMMENT ON FUNCTION tallymark.merge_progress(text, jsonb) IS
'Merges one update into a job and appends it to the job''s ledger, atomically and once.
Arguments: job_id, a registered job; payload, the update as a JSON object in the shape of the wire protocol (taskId may
be left out; without a status it counts as processing, without a timestamp as of now). The same updateId, or without one
the same content, counts once on a job; an update with neither updateId nor timestamp counts every time.
Returns: {"status": "received", "message", "seq": the number of its event, "duplicate": whether it was there already,
"warnings": [texts], "command": what an operator asks of the crawler, or null}, and for the status started "resume".
Errors: TK400, with every problem in DETAIL as an array of {"field", "problem"}; TK404, no such job; TK413, too large.
Locks: the job''s row, until the end of the transaction. Callers that update several jobs in one transaction go in the
order of the ids (by their bytes).';

REVOKE ALL ON FUNCTION tallymark.merge_progress(text, jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.merge_progress(text, jsonb) TO tallymark_writer, tallymark_admin;
