-- Merges many updates of any jobs in one transaction: judged one by one, then locked, looked up, merged and stored
-- together.

CREATE OR REPLACE FUNCTION tallymark.merge_batch(updates jsonb, required text[], job_prefix text) RETURNS jsonb
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
-- Planned once per session: planning these statements for each batch took longer than merging fifty updates.
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off -- the plan may be made while the tables are empty
AS $$
DECLARE
  c_most_updates CONSTANT integer := 1000;
  v_updates tallymark.batch_update[];
  -- Whether the jobs may be on several machines. Then each is locked and stored in a statement of its own.
  v_apart CONSTANT boolean := to_regclass('pg_catalog.pg_dist_partition') IS NOT NULL;
  v_id text;
  v_jobs tallymark.job[] := '{}'::tallymark.job[];
  v_states tallymark.job[] := '{}'::tallymark.job[];
  v_job tallymark.job;
  v_before tallymark.job;
  v_now timestamptz;
  v_run record;
  v_counted jsonb := '{}'::jsonb; -- how many keys of items were new, by the numbers of their updates
  v_event text;
  v_numbers bigint[] := '{}'::bigint[];
  v_events text[] := '{}'::text[];
  v_facts jsonb[] := '{}'::jsonb[];
BEGIN
  IF jsonb_typeof(merge_batch.updates) IS DISTINCT FROM 'array' THEN
    RAISE EXCEPTION USING ERRCODE = 'TK400', MESSAGE = 'Invalid request body',
      DETAIL = '[{"field": "", "problem": "must be an array of updates"}]', HINT = 'A batch is a JSON array.';
  ELSIF jsonb_array_length(merge_batch.updates) > c_most_updates THEN
    RAISE EXCEPTION USING ERRCODE = 'TK413', MESSAGE = 'Too many updates', DETAIL = format(
      'The batch has %s updates; at most %s are taken.', jsonb_array_length(merge_batch.updates), c_most_updates);
  END IF;

  -- 1. Judge each by itself.
  v_updates := tallymark.judge_batch(merge_batch.updates, merge_batch.required, coalesce(merge_batch.job_prefix, ''));

  -- 2. Lock order: the jobs' rows in the order of their ids, by their bytes; then their ledgers.
  IF v_apart THEN
    PERFORM tallymark.keep_shards(NULL);
    SET LOCAL plan_cache_mode TO DEFAULT; -- what is sent elsewhere is planned with its parameters
    FOREACH v_id IN ARRAY ARRAY(
      SELECT DISTINCT u.job_id COLLATE "C" AS id FROM unnest(v_updates) AS u WHERE u.refusal IS NULL ORDER BY id)
    LOOP
      SELECT j.* INTO v_job FROM tallymark.job AS j WHERE j.id = v_id FOR NO KEY UPDATE;
      IF FOUND THEN
        v_jobs := v_jobs || v_job;
      END IF;
    END LOOP;
  ELSE
    v_jobs := ARRAY(
      SELECT j FROM tallymark.job AS j
      WHERE j.id = ANY (ARRAY(SELECT DISTINCT u.job_id FROM unnest(v_updates) AS u WHERE u.refusal IS NULL))
      ORDER BY j.id FOR NO KEY UPDATE);
  END IF;
  v_now := clock_timestamp();
  v_updates := tallymark.place_batch(v_updates, v_jobs, v_now);

  -- 3. Merge in memory, a run of updates at a time.
  FOR v_run IN
    SELECT r.*, CASE WHEN r.run = 1 THEN j END AS job, r.run = max(r.run) OVER (PARTITION BY r.job_id) AS is_last
    FROM tallymark.combine_updates(ARRAY(SELECT u FROM unnest(v_updates) AS u WHERE u.seq IS NOT NULL),
      v_jobs) AS r
    JOIN unnest(v_jobs) AS j ON j.id = r.job_id
    ORDER BY r.job_id COLLATE "C", r.run
  LOOP
    IF v_run.run = 1 THEN
      v_job := v_run.job;
    END IF;
    v_before := v_job;
    v_job.started_at := least(v_job.started_at, v_run.first_at);
    IF v_run.payload ? 'itemKeys' THEN
      v_run.payload := v_run.payload || jsonb_build_object('itemKeys',
        tallymark.merge_item_keys(v_job.id, v_run.seq, v_run.payload -> 'itemKeys'));
      v_counted := v_counted || jsonb_build_object(v_run.number, v_run.payload -> 'itemKeys');
    END IF;
    v_job := tallymark.merge_state(v_job, v_run.at, v_run.key, v_run.payload);
    v_job.last_seq := v_run.seq;
    IF v_run.payload ? 'areas' THEN
      v_job := tallymark.with_area_counts(v_job,
        tallymark.merge_areas(v_job.id, v_run.at, v_run.key, v_run.payload -> 'areas'));
    END IF;
    IF v_run.payload ? 'timeline' THEN
      v_job.last_seq := tallymark.append_own_events(v_job.id, v_run.seq, v_now, v_run.payload -> 'timeline');
    END IF;
    IF v_job.requested_command IS NOT NULL THEN
      v_job := tallymark.heed_command(v_job, v_run.at, v_run.payload);
    END IF;
    v_event := tallymark.event_kind(v_run.payload,
      v_before.progress -> 'stage' IS DISTINCT FROM v_job.progress -> 'stage');
    IF v_event <> 'progress_update' THEN -- all of a run have the same stage, so only its first can change it
      v_numbers := v_numbers || v_run.first_number;
      v_events := v_events || v_event;
      v_facts := v_facts || tallymark.event_facts(v_event, v_run.at, v_before, v_job);
    END IF;
    IF v_run.is_last THEN
      v_states := v_states || v_job;
    END IF;
  END LOOP;

  -- 4. Append to the ledgers, store.
  INSERT INTO tallymark.job_event AS e (job_id, seq, event, update_key, occurred_at, recorded_at, payload, details)
  SELECT u.job_id, u.seq, coalesce(k.event, tallymark.event_kind(u.payload, false)), u.key, u.at, v_now, u.payload,
    CASE WHEN u.payload ? 'itemKeys'
      THEN coalesce(k.facts, '{}') || jsonb_build_object('counted', v_counted -> u.number::text) ELSE k.facts END
  FROM unnest(v_updates) AS u LEFT JOIN unnest(v_numbers, v_events, v_facts) AS k (number, event, facts)
    ON k.number = u.number
  WHERE u.seq IS NOT NULL;
  IF v_apart THEN
    FOREACH v_job IN ARRAY v_states LOOP
      UPDATE tallymark.job AS j SET
        status = v_job.status, progress = v_job.progress, facets = v_job.facets, workers = v_job.workers,
        newest_at = v_job.newest_at, newest_key = v_job.newest_key, newest_fields = v_job.newest_fields,
        clocks = v_job.clocks, resume_state = v_job.resume_state, started_at = v_job.started_at,
        finished_at = v_job.finished_at, requested_command = v_job.requested_command,
        command_seq = v_job.command_seq, last_seq = v_job.last_seq, updated_at = v_now
      WHERE j.id = v_job.id;
    END LOOP;
  ELSE
    UPDATE tallymark.job AS j SET
      status = s.status, progress = s.progress, facets = s.facets, workers = s.workers, newest_at = s.newest_at,
      newest_key = s.newest_key, newest_fields = s.newest_fields, clocks = s.clocks, resume_state = s.resume_state,
      started_at = s.started_at, finished_at = s.finished_at, requested_command = s.requested_command,
      command_seq = s.command_seq, last_seq = s.last_seq, updated_at = v_now
    FROM unnest(v_states) AS s WHERE j.id = s.id;
  END IF;

  -- 5. Acknowledge each, by the state after all of them. What a restarted crawler needs, and the final counts, may be
  -- large: of several updates that started the same job, or ended it, only the last one gets them.
  v_numbers := ARRAY(
    SELECT max(u.number) FROM unnest(v_updates) AS u
    WHERE u.refusal IS NULL AND lower((u.payload ->> 'status') COLLATE "C") <> 'processing'
    GROUP BY u.job_id, tallymark.is_terminal(tallymark.job_status(u.payload ->> 'status')),
      lower((u.payload ->> 'status') COLLATE "C") = 'started');
  RETURN (
    SELECT coalesce(jsonb_agg(CASE WHEN u.refusal IS NOT NULL THEN u.refusal
      WHEN u.seq IS NOT NULL AND u.payload ? 'itemKeys'
        THEN tallymark.acknowledgement(s, u.seq, false, u.payload, u.warnings, u.number = ANY (v_numbers))
          || tallymark.item_counts(u.payload -> 'itemKeys', v_counted -> u.number::text)
      WHEN u.seq IS NOT NULL
        THEN coalesce(tallymark.plain_acknowledgement(s.id, s.requested_command, u.seq, u.payload, u.warnings),
          tallymark.acknowledgement(s, u.seq, false, u.payload, u.warnings, u.number = ANY (v_numbers)))
      ELSE tallymark.acknowledge_duplicate(
        CASE WHEN s.id IS NULL THEN j ELSE s END, u.key, u.payload, u.number = ANY (v_numbers))
      END ORDER BY u.number), '[]')
    FROM unnest(v_updates) AS u
    LEFT JOIN unnest(v_states) AS s ON s.id = u.job_id
    LEFT JOIN unnest(v_jobs) AS j ON j.id = u.job_id);
END
$$;

COMMENT ON FUNCTION tallymark.merge_batch(jsonb, text[], text) IS
'Merges many updates: the common part of merge_progress_batch and receive_progress.
Arguments: updates: a JSON array of at most 1000; required: the members that each must have; job_prefix: the prefix
that the jobs'' ids must have, null or empty for all jobs.
Returns: see merge_progress_batch.
Errors: see merge_progress_batch.';

REVOKE ALL ON FUNCTION tallymark.merge_batch(jsonb, text[], text) FROM PUBLIC;
