-- The design that Tallymark replaces, as its overview has it: the timeline lies inside the job's progress, under a GIN
-- index.

CREATE TABLE bench.seed_job (
  id text PRIMARY KEY,
  status text NOT NULL,
  progress jsonb,
  resume_state jsonb,
  started_at timestamp,
  finished_at timestamp,
  updated_at timestamp
);

-- What the original's code does with an update: query, merge (highest, sum, append), update. It takes no lock in
-- between, as the original takes none, and it needs one round trip, where the original needs two.
CREATE FUNCTION bench.seed_merge(job_id text, payload jsonb) RETURNS jsonb
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
  v_progress jsonb;
  v_items jsonb;
BEGIN
  SELECT j.progress INTO v_progress FROM bench.seed_job AS j WHERE j.id = seed_merge.job_id;
  SELECT (v_progress -> 'itemsByType') || jsonb_object_agg(
    t.key, coalesce((v_progress #> ARRAY['itemsByType', t.key])::numeric, 0) + t.value::numeric)
  INTO v_items FROM jsonb_each(seed_merge.payload -> 'itemsByType') AS t;
  UPDATE bench.seed_job AS j SET
    status = 'running', updated_at = clock_timestamp(),
    progress = v_progress || (seed_merge.payload - '{taskId,status,timestamp}'::text[]) || jsonb_build_object(
      'processedItems',
      greatest((v_progress -> 'processedItems')::numeric, (seed_merge.payload -> 'processedItems')::numeric),
      'itemsByType', v_items,
      'timeline', (v_progress -> 'timeline') || bench.seed_event(seed_merge.payload))
  WHERE j.id = seed_merge.job_id;
  RETURN jsonb_build_object('status', 'received', 'message', 'Progress update acknowledged for task ' || job_id);
END
$$;

CREATE FUNCTION bench.seed_event(payload jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE
RETURN jsonb_build_object(
  'timestamp', payload -> 'timestamp', 'event', 'progress_update', 'details', jsonb_build_object(
    'status', payload -> 'status', 'processedItems', payload -> 'processedItems', 'totalItems', payload -> 'totalItems',
    'currentDataType', payload -> 'currentDataType', 'stage', payload -> 'stage',
    'operationType', payload -> 'operationType'));

-- Jobs called prefix || 1 and so on, each with so many events in its timeline.
CREATE FUNCTION bench.make_seed_jobs(prefix text, jobs integer, events integer) RETURNS void
LANGUAGE sql VOLATILE
BEGIN ATOMIC
  INSERT INTO bench.seed_job (id, status, progress, started_at, updated_at)
  SELECT prefix || j, 'running', bench.lifelike_update(prefix || j, clock_timestamp(), 1, 1)
      - '{taskId,status,timestamp}'::text[] || jsonb_build_object('timeline', t.events), now(), now()
  FROM generate_series(1, jobs) AS j
  CROSS JOIN LATERAL (
    SELECT jsonb_agg(bench.seed_event(bench.lifelike_update(
      prefix || j, clock_timestamp() - (events - n) * interval '1 second', n, 1)) ORDER BY n)
    FROM generate_series(1, events) AS n) AS t (events);
END;

-- Every index that the overview lists.
CREATE INDEX idx_job_progress ON bench.seed_job USING gin (progress);
CREATE INDEX idx_job_status ON bench.seed_job (status);
CREATE INDEX idx_job_updated_at ON bench.seed_job (updated_at);
CREATE INDEX idx_job_progress_stage ON bench.seed_job USING gin ((progress -> 'stage'));
CREATE INDEX idx_job_progress_items ON bench.seed_job USING gin ((progress -> 'itemsByType'));
