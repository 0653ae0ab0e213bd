-- The merge: the state of a job and one more update give the next state. All merging of a job's updates goes through
-- here: single updates and batches under the lock, and everything that folds the ledger.
--
-- The state depends only on the set of the updates, not on their order:
-- - counts are sums, or sums of maxima;
-- - a newest-wins field belongs to the update with the largest (time, key) that gave it. The newest update of all is
--   remembered with the names of the fields that it gave (newest_*); a field that an older one gave has its clock in
--   clocks. So an update that comes in order, with the same fields as the one before, touches no clock.
-- What seldom runs stands in a statement of its own, because a statement that does not run need not be set up.

CREATE OR REPLACE FUNCTION tallymark.merge_state(job tallymark.job, at timestamptz, key text, payload jsonb)
RETURNS tallymark.job
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  v_status text := 'running'; -- for processing, the status of nearly every update
  -- All members except those with a rule of their own.
  v_fields jsonb := merge_state.payload - ARRAY['taskId', 'status', 'timestamp', 'updateId', 'workerId', 'counting',
    'processedItems', 'itemsByType', 'itemKeys', 'groupCount', 'projectCount', 'timeline', 'areas', 'foundByType',
    'failedByType', 'skippedByType', 'totalsByType'];
  v_before jsonb := job.progress;
  v_processed numeric;
  v_items jsonb := job.progress -> 'itemsByType';
  v_increments jsonb := merge_state.payload -> 'itemsByType';
  v_has_totals boolean := false;
  v_new_facet boolean := false;
  -- One condition for all steps that few updates need. None of them is needed where it is false.
  v_is_rare CONSTANT boolean := job.workers IS NOT NULL OR job.finished_at IS NOT NULL
    OR NOT merge_state.payload @> '{"status": "processing"}'
    OR merge_state.payload ?| ARRAY['progress', 'error', 'lastAreasDiscovery', 'workerId', 'counting', 'itemKeys',
      'groupCount', 'projectCount', 'foundByType', 'failedByType', 'skippedByType', 'totalsByType'];
BEGIN
  -- 1. Newest wins.
  IF v_is_rare THEN
    IF merge_state.payload -> 'status' <> '"processing"' THEN
      v_status := tallymark.job_status(merge_state.payload ->> 'status');
      IF v_status = 'finished' THEN
        v_fields := v_fields || '{"progress": null}'; -- completed clears the resume state
      ELSIF v_status = 'waiting' THEN
        v_fields := v_fields || '{"timestamp": null}'; -- not a field: its clock tells wait_spans that the job has waited
      END IF;
    END IF;
  END IF;
  IF merge_state.at > job.newest_at AND v_fields ?& job.newest_fields AND v_fields - job.newest_fields = '{}'
    AND NOT job.clocks ? 'status'
  THEN
    job.status := v_status;
    job.newest_at := merge_state.at;
    job.newest_key := merge_state.key;
    IF job.clocks = '{}' THEN
      v_before := '{}'; -- the update gives every field that there was
    END IF;
  ELSE
    job.started_at := least(job.started_at, merge_state.at);
    IF merge_state.at < job.newest_at AND v_fields - job.newest_fields = '{}' THEN
      v_fields := '{}'; -- late, and the newest update gave all its fields: common with several workers
    ELSE
      v_new_facet := true; -- perhaps
      v_fields := tallymark.winning_fields(job, merge_state.at, merge_state.key, v_fields);
      job := tallymark.advance_clocks(job, merge_state.at, merge_state.key, v_status, v_fields);
    END IF;
  END IF;
  IF v_is_rare THEN
    job.finished_at := CASE WHEN tallymark.is_terminal(job.status) THEN job.newest_at END;
    IF v_fields ? 'progress' THEN
      job.resume_state := CASE WHEN v_status <> 'finished' THEN v_fields -> 'progress' END;
      v_fields := v_fields - 'progress';
    END IF;
    v_fields := v_fields - 'timestamp';
    IF v_fields -> 'doneBeyond' = 'null' THEN -- the mark of prepare_update: completed clears it
      v_fields := v_fields - 'doneBeyond';
      v_before := v_before - 'doneBeyond';
    END IF;
    IF v_fields ? 'error' THEN
      v_fields := v_fields || jsonb_build_object('errorTimestamp', tallymark.iso_timestamp(merge_state.at));
    END IF;
    IF v_fields ? 'lastAreasDiscovery' THEN
      v_fields := jsonb_set(v_fields, '{lastAreasDiscovery,timestamp}',
        to_jsonb(tallymark.iso_timestamp(merge_state.at)));
    END IF;
    IF merge_state.payload -> 'counting' = '"cumulative"' THEN
      v_increments := NULL;
    END IF;
    v_has_totals := job.workers IS NOT NULL
      OR merge_state.payload ?| ARRAY['workerId', 'counting', 'groupCount', 'projectCount'];
  END IF;

  -- 2. Counts: increments are summed, running totals are the sum of each worker's highest.
  IF v_increments IS NOT NULL THEN
    SELECT coalesce(v_items, '{}') || coalesce(jsonb_object_agg(
        t.name, trim_scale(coalesce((v_items -> t.name)::numeric, 0) + (v_increments -> t.name)::numeric)), '{}'),
      v_new_facet OR bool_and(v_items ? t.name) IS NOT TRUE
    INTO v_items, v_new_facet FROM (SELECT jsonb_object_keys(v_increments) AS name) AS t;
  END IF;
  IF v_is_rare THEN
    IF merge_state.payload ? 'itemKeys' THEN -- how many of them are new
      SELECT coalesce(v_items, '{}') || jsonb_object_agg(
          n.key, coalesce((v_items -> n.key)::numeric, 0) + n.value::numeric),
        v_new_facet OR bool_and(v_items ? n.key) IS NOT TRUE
      INTO v_items, v_new_facet FROM jsonb_each(merge_state.payload -> 'itemKeys') AS n;
    END IF;
  END IF;
  IF v_has_totals THEN
    v_new_facet := true; -- perhaps
    SELECT c.* INTO job.workers, v_processed, v_items
    FROM tallymark.count_by_worker(
      job.workers, (job.progress -> 'processedItems')::numeric, v_items, merge_state.payload) AS c;
  ELSE
    v_processed := greatest((job.progress -> 'processedItems')::numeric,
      trim_scale((merge_state.payload -> 'processedItems')::numeric));
  END IF;
  job.progress := v_before || (v_fields || CASE WHEN v_processed IS NULL OR v_items IS NULL
    THEN tallymark.without_nulls(jsonb_build_object('processedItems', v_processed, 'itemsByType', v_items))
    ELSE jsonb_build_object('processedItems', v_processed, 'itemsByType', v_items) END);
  IF v_is_rare THEN
    IF merge_state.payload ?| ARRAY['foundByType', 'failedByType', 'skippedByType', 'totalsByType'] THEN
      v_new_facet := true; -- perhaps too many names
      job := tallymark.count_books(job, merge_state.at, merge_state.key, merge_state.payload);
    END IF;
  END IF;

  -- 3. What follows from the rest. Where no facet can be new, it is enough to check that the known ones still hold.
  IF v_new_facet OR NOT job.progress @> (job.facets - 'itemTypes') THEN
    IF pg_column_size(job.progress) > 8 * tallymark.most_names() THEN -- too many names take more than that
      job := tallymark.within_limits(job);
    END IF;
    job.facets := tallymark.facets_of(job.progress);
  END IF;
  RETURN job;
END
$$;

COMMENT ON FUNCTION tallymark.merge_state(tallymark.job, timestamptz, text, jsonb) IS
'Merges one update into the state of a job. The result does not depend on the order of the updates. The areas of an
update are merged by merge_areas and counted by with_area_counts, the keys of its items by merge_item_keys.
Arguments: job: the state so far, a row of tallymark.job (last_seq, updated_at, attributes and requested commands are
not touched); at: when the update happened, not later than now; key: its key; payload: the update as prepare_update
gives it, but in its itemKeys the number of new keys in place of each array, as merge_item_keys gives it.
Returns: the state after the update.';

REVOKE ALL ON FUNCTION tallymark.merge_state(tallymark.job, timestamptz, text, jsonb) FROM PUBLIC;
