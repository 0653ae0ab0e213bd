-- Takes over a job of the original, once, from a row of its table.

CREATE OR REPLACE FUNCTION tallymark.import_original_row(original jsonb) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  c_event CONSTANT text := 'original_imported';
  v_plan jsonb;
  v_id text;
  v_job tallymark.job;
  v_outcome text := 'imported';
  v_known bigint := 0; -- how many entries of the timeline were taken over before
  v_before bigint;
  v_last bigint;
  v_update jsonb;
  v_number integer := 0;
  v_mended jsonb;
BEGIN
  IF jsonb_typeof(import_original_row.original) IS DISTINCT FROM 'object' THEN
    RAISE EXCEPTION USING ERRCODE = 'TK400', MESSAGE = 'Invalid request body',
      DETAIL = '[{"field": "", "problem": "must be a JSON object"}]', HINT = 'A row is one JSON object.';
  END IF;
  -- 1. Judge the row by itself.
  v_plan := tallymark.judge_original(import_original_row.original);
  IF jsonb_path_exists(v_plan -> 'problems', '$[*] ? (@.field == "id")') THEN
    RAISE EXCEPTION USING ERRCODE = 'TK400', MESSAGE = 'Invalid job', DETAIL = (v_plan -> 'problems')::text,
      HINT = 'No crawler can report under such an id. The row was not taken over.';
  END IF;
  v_id := v_plan ->> 'id';
  v_mended := v_plan -> 'mended';

  -- 2. Lock order: the job's row, then its ledger. Whether the row was taken over before is read under this lock.
  PERFORM tallymark.keep_shards(NULL);
  PERFORM tallymark.create_job(v_id);
  SELECT j.* INTO v_job FROM tallymark.job AS j WHERE j.id = v_id FOR NO KEY UPDATE;
  IF NOT FOUND THEN -- it was deleted meanwhile
    PERFORM tallymark.refuse_unknown_job(v_id);
  END IF;
  v_before := v_job.last_seq;
  IF (v_plan -> 'isEmpty')::boolean THEN
    v_outcome := CASE v_before WHEN 0 THEN 'registered' ELSE 'unchanged' END;
  ELSIF tallymark.is_known_update(v_id, v_job.pruned_seq, 'import-original/' || (v_plan ->> 'digest')) THEN
    v_outcome := 'unchanged';
  ELSIF tallymark.is_known_update(v_id, v_job.pruned_seq, 'import-original') THEN
    -- The row has changed since. As long as only imports have reported on the job, it follows the row.
    v_outcome := 'changed';
    IF v_job.pruned_seq = 0 AND NOT EXISTS (
      SELECT 1 FROM tallymark.job_event AS e
      WHERE e.job_id = v_id AND e.payload IS NOT NULL AND e.update_key NOT LIKE '=import-original%')
    THEN
      v_outcome := 'updated';
      v_known := (
        SELECT (e.details -> 'timelineEntries')::bigint FROM tallymark.job_event AS e
        WHERE e.job_id = v_id AND e.payload IS NULL AND e.event = c_event ORDER BY e.seq DESC LIMIT 1);
    END IF;
  END IF;

  -- 3. Merge as any update is merged. The crawler's own events come between, in one call, however many they are.
  IF v_outcome IN ('imported', 'updated') THEN
    FOR v_update IN
      SELECT c.value FROM jsonb_array_elements(v_plan -> 'counts') WITH ORDINALITY AS c ORDER BY c.ordinality
    LOOP
      -- The keys of counts sort before that of the update below, which wins where their times are the same.
      v_update := tallymark.merge_progress(v_id, v_update || jsonb_build_object('updateId',
        CASE WHEN v_outcome = 'imported' AND v_number = 0 THEN 'import-original'
          ELSE format('import-original-counts/%s/%s', v_plan ->> 'digest', v_number) END));
      v_number := v_number + 1;
    END LOOP;
    v_last := tallymark.append_own_events(v_id, (v_update -> 'seq')::bigint, clock_timestamp(), (
      SELECT coalesce(jsonb_agg(o.value ORDER BY o.ordinality), '[]')
      FROM jsonb_array_elements(v_plan -> 'events') WITH ORDINALITY AS o WHERE o.ordinality > v_known)
      || jsonb_build_object('event', c_event, 'timestamp', tallymark.iso_timestamp(clock_timestamp()), 'details',
        (SELECT jsonb_object_agg(d.key, d.value)
          FROM jsonb_each(jsonb_build_object('timelineEntries', jsonb_array_length(v_plan -> 'events'),
            'problems', v_plan -> 'problems', 'mended', v_mended, 'kept', v_plan -> 'kept')) AS d
          WHERE d.value NOT IN ('[]', '{}'))));
    UPDATE tallymark.job AS j SET last_seq = v_last WHERE j.id = v_id;
    v_update := (v_plan -> 'update') || jsonb_build_object('updateId', 'import-original/' || (v_plan ->> 'digest'));
    IF v_outcome = 'updated' AND tallymark.parse_timestamp(v_update ->> 'timestamp') <= v_job.newest_at THEN
      -- The row that was read last is the newer one, whatever its times are.
      v_update := v_update || jsonb_build_object('timestamp',
        tallymark.iso_timestamp(v_job.newest_at + interval '1 microsecond'));
    END IF;
    v_update := tallymark.merge_progress(v_id, v_update);
    v_mended := v_mended || (
      SELECT coalesce(jsonb_agg(jsonb_build_object('field', '', 'mended', w.value)), '[]')
      FROM jsonb_array_elements(v_update -> 'warnings') AS w);
  ELSIF v_outcome = 'changed' THEN
    v_plan := v_plan || jsonb_build_object('taken', '[]'::jsonb, 'problems', (v_plan -> 'problems')
      || jsonb_build_object('field', '', 'problem', 'the row has changed since it was taken over, but the job has '
        'gone on here; the change was not taken over'));
  END IF;
  RETURN jsonb_build_object('id', v_id, 'outcome', v_outcome, 'taken', v_plan -> 'taken',
    'problems', v_plan -> 'problems', 'mended', v_mended,
    'timelineEntries', jsonb_array_length(v_plan -> 'events'),
    'events', (SELECT j.last_seq FROM tallymark.job AS j WHERE j.id = v_id) - v_before);
END
$$;

COMMENT ON FUNCTION tallymark.import_original_row(jsonb) IS
'Takes over a job from a row of the original''s table of jobs, whatever is wrong with the row. The counts become the
job''s first event, as of its beginning; the entries of progress.timeline become events under their own times; the event
original_imported holds what was not understood; the last event has the status, the other fields and the resume state.
The same row again changes nothing, also if the job has gone on meanwhile. A row that has changed since is taken over
again as long as nothing but imports has reported on the job, and its events were not pruned: counts rise, never fall,
and new entries of the timeline are appended. Once a crawler has reported on the job here, the change is not taken over,
because the same items might count twice; the outcome says so.
Arguments: original: the row as a JSON object by the names of its columns: id, status, progress, resume_state (or
resumeState), started_at, finished_at, updated_at; others are ignored, and null counts as not given. Times are ISO 8601
texts, in UTC where they have no offset, or milliseconds since 1970.
Returns: {"id", "outcome": "imported", "registered" (nobody had reported on it), "unchanged", "updated", or "changed"
(not taken over), "taken": the names of the fields that were taken over, "problems": [{"field", "problem"}] for those
that were not, "mended": [{"field", "mended"}] for those that were taken over otherwise than they were,
"timelineEntries": how many the row has, "events": how many were appended}. What was not taken as it was is
in the details of the event original_imported, as "kept".
Errors: TK400 where the row is no object, or its id is missing, empty or longer than 255 characters, with all problems
of the row in DETAIL as a JSON array of {"field", "problem"}.
Callers: tallymark_admin.
Locks: the job''s row, until the end of the transaction.
Cost: grows with the size of the row: some 3 ms, and 0.05 ms for each entry of the timeline.
Example: SELECT tallymark.import_original_row(to_jsonb(j)) FROM job AS j WHERE j.id = ''job_1'';';

REVOKE ALL ON FUNCTION tallymark.import_original_row(jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.import_original_row(jsonb) TO tallymark_admin;
