-- The merge: the state of a job and one more update give the next state. Everything that merges or folds goes through
-- here: merge_progress under the lock, and verify_job, which folds the ledger anew.
--
-- The state depends only on the set of the updates, not on their order:
--   counts are sums, or sums of maxima;
--   a newest-wins field belongs to the update of the largest (time, key) that gave it. The newest update of all is
--   remembered with the names of the fields it gave (newest_*); a field that an older one gave has its clock in clocks.
--   So an update in order, of the same shape as the one before, touches no clock.
-- What seldom runs stands in a statement of its own: a statement that does not run need not be set up either.

CREATE OR REPLACE FUNCTION tallymark.merge_state(job tallymark.job, at timestamptz, key text, payload jsonb)
RETURNS tallymark.job
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  c_not_newest_wins CONSTANT text[] := '{taskId,status,timestamp,updateId,workerId,counting,processedItems,itemsByType,groupCount,projectCount,areas,timeline}';
  v_before CONSTANT jsonb := job.progress;
  v_status CONSTANT text := tallymark.job_status(coalesce(merge_state.payload ->> 'status', 'processing'));
  v_fields jsonb := merge_state.payload - c_not_newest_wins;
  v_increments jsonb := merge_state.payload -> 'itemsByType';
  v_items jsonb := v_before -> 'itemsByType';
  v_type text;
  v_new_type boolean := false;
BEGIN
  -- 1. Newest wins.
  IF v_status = 'finished' THEN
    v_fields := v_fields || '{"progress": null}'; -- completed clears the resume state
  END IF;
  IF merge_state.at > job.newest_at AND v_fields ?& job.newest_fields AND v_fields - job.newest_fields = '{}'
    AND NOT job.clocks ? 'status'
  THEN
    job.status := v_status;
    job.newest_at := merge_state.at;
    job.newest_key := merge_state.key;
  ELSE
    v_fields := tallymark.winning_fields(job, merge_state.at, merge_state.key, v_fields);
    job := tallymark.advance_clocks(job, merge_state.at, merge_state.key, v_status, v_fields);
  END IF;
  IF v_fields ? 'progress' THEN
    job.resume_state := CASE WHEN v_status <> 'finished' THEN v_fields -> 'progress' END;
    v_fields := v_fields - 'progress';
  END IF;
  IF v_fields ? 'error' THEN
    v_fields := v_fields || jsonb_build_object('errorTimestamp', tallymark.iso_timestamp(merge_state.at));
  END IF;

  -- 2. Counts: increments are summed, running totals are the sum of each worker's highest.
  IF v_increments IS NOT NULL AND merge_state.payload -> 'counting' IS DISTINCT FROM '"cumulative"' THEN
    v_items := coalesce(v_items, '{}');
    FOR v_type IN SELECT t.name FROM jsonb_object_keys(v_increments) AS t (name) LOOP
      v_new_type := v_new_type OR NOT v_items ? v_type;
      v_items := v_items || jsonb_build_object(v_type,
        trim_scale(coalesce((v_items -> v_type)::numeric, 0) + (v_increments -> v_type)::numeric));
    END LOOP;
    v_fields := v_fields || jsonb_build_object('itemsByType', v_items);
  END IF;
  IF job.workers IS NOT NULL OR merge_state.payload ?| '{workerId,counting,groupCount,projectCount}' THEN
    SELECT c.workers, v_fields || c.totals INTO job.workers, v_fields
    FROM tallymark.count_by_worker(job.workers, v_before || v_fields, merge_state.payload) AS c;
    v_new_type := true; -- perhaps
  ELSIF merge_state.payload ? 'processedItems' THEN
    v_fields := v_fields || jsonb_build_object('processedItems', greatest(
      (v_before -> 'processedItems')::numeric, trim_scale((merge_state.payload -> 'processedItems')::numeric)));
  END IF;
  job.progress := v_before || v_fields;

  -- 3. What follows from the rest.
  IF v_new_type OR NOT job.facets @> jsonb_build_object('stage', job.progress -> 'stage', 'operationType',
    job.progress -> 'operationType', 'currentDataType', job.progress -> 'currentDataType')
  THEN
    job.facets := tallymark.facets_of(job.progress);
  END IF;
  job.started_at := least(job.started_at, merge_state.at);
  job.finished_at := CASE WHEN tallymark.is_terminal(job.status) THEN job.newest_at END;
  RETURN job;
END
$$;

COMMENT ON FUNCTION tallymark.merge_state(tallymark.job, timestamptz, text, jsonb) IS
'Merges one update into the state of a job. Whatever the order of the updates, the state comes out the same.
Arguments: job, the state so far (a row of tallymark.job; last_seq, updated_at and what the registrar gave are not
touched); at, when the update happened, not later than now; key, its key; payload, the update as prepare_update gives it.
Returns: the state afterwards.';

REVOKE ALL ON FUNCTION tallymark.merge_state(tallymark.job, timestamptz, text, jsonb) FROM PUBLIC;
