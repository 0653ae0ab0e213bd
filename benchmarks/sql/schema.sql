-- What the pgbench scripts call; it lives in the benchmark's own database, never beside real data.

CREATE SCHEMA bench;

-- An update as crawlers send it, of some 330 bytes. The planner puts this expression in the place of the call (nothing
-- in it forbids that), so both sides of a comparison pay for the same text and the same cast, and for no function.
CREATE FUNCTION bench.lifelike_text(job_id text, at timestamptz, processed integer, found integer) RETURNS text
LANGUAGE sql VOLATILE
RETURN '{"taskId":"' || job_id || '","status":"processing","timestamp":' || to_jsonb(at)::text
  || ',"processedItems":' || processed || ',"totalItems":1000000,"currentDataType":"issues","stage":"data_collection"'
  || ',"operationType":"data_collection","itemsByType":{"issues":' || found || ',"commits":3}'
  || ',"lastProcessedId":"gid://issue/' || processed || '","message":"Processing issues"}';

CREATE FUNCTION bench.lifelike_update(job_id text, at timestamptz, processed integer, found integer) RETURNS jsonb
LANGUAGE sql VOLATILE
RETURN bench.lifelike_text(job_id, at, processed, found)::jsonb;

-- The same update with keys of issues in place of their number. No two updates have the same keys.
CREATE FUNCTION bench.keyed_update(job_id text, at timestamptz, processed integer, keys integer) RETURNS jsonb
LANGUAGE sql VOLATILE
RETURN (
  SELECT jsonb_set(bench.lifelike_update(job_id, at, processed, 0) #- '{itemsByType,issues}', '{itemKeys}',
    jsonb_build_object('issues', jsonb_agg('https://example.org/issues/' || processed || '/' || n)))
  FROM generate_series(1, keys) AS n
);

-- A batch of such updates, read as one text, as it comes from a client: of one job, or of all in turn, beginning
-- with a random one. Each is later than the one before, as a crawler's updates are.
CREATE FUNCTION bench.lifelike_batch(prefix text, jobs integer, job integer, updates integer, processed integer)
RETURNS jsonb
LANGUAGE sql VOLATILE
RETURN (
  SELECT ('[' || string_agg(bench.lifelike_text(
    prefix || ((job + n) % jobs + 1), clock_timestamp() - (updates - n) * interval '10 microseconds', processed + n, n % 50 + 1), ',') || ']')::jsonb
  FROM generate_series(1, updates) AS n
);

-- Registers jobs as they are in the middle of their work, all at once and without a ledger: for reading only. They take
-- turns in having these statuses.
CREATE FUNCTION bench.make_running_jobs(jobs integer, statuses text[] DEFAULT '{running,running,finished,failed}')
RETURNS void
LANGUAGE sql VOLATILE
BEGIN ATOMIC
  INSERT INTO tallymark.job (id, status, progress, facets, newest_at, last_seq, started_at)
  SELECT 'job_' || n, make_running_jobs.statuses[n % cardinality(make_running_jobs.statuses) + 1],
    jsonb_build_object('processedItems', n, 'totalItems', 1000000, 'currentDataType', 'issues', 'stage', 'data_collection',
      'operationType', 'data_collection', 'itemsByType', jsonb_build_object('issues', n, 'commits', 3),
      'lastProcessedId', 'gid://issue/' || n, 'message', 'Processing issues'),
    '{"stage": "data_collection", "operationType": "data_collection", "currentDataType": "issues",
      "itemTypes": ["issues", "commits"]}', clock_timestamp(), 1, clock_timestamp()
  FROM generate_series(1, jobs) AS n;
END;

-- The storage floor: the least that can store an update. One UPDATE, one INSERT, on the product's tables and indexes,
-- with rows of the size that a merge writes: without these three members an update is as long as the merged progress of
-- its job.
CREATE FUNCTION bench.floor_update(job_id text, payload jsonb) RETURNS jsonb
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
  v_seq bigint;
BEGIN
  UPDATE tallymark.job AS j
  SET progress = floor_update.payload - '{taskId,status,timestamp}'::text[], last_seq = j.last_seq + 1,
    updated_at = clock_timestamp()
  WHERE j.id = floor_update.job_id
  RETURNING j.last_seq INTO v_seq;
  INSERT INTO tallymark.job_event (job_id, seq, event, update_key, occurred_at, payload)
  VALUES (floor_update.job_id, v_seq, 'progress_update', '#' || md5(random()::text), clock_timestamp(),
    floor_update.payload);
  RETURN jsonb_build_object('status', 'received', 'seq', v_seq);
END
$$;

-- Registers jobs called prefix || 1 and so on, each with one merged update, so that their rows have their full size.
CREATE FUNCTION bench.make_jobs(prefix text, jobs integer) RETURNS void
LANGUAGE plpgsql VOLATILE
AS $$
BEGIN
  PERFORM tallymark.create_job(prefix || n) FROM generate_series(1, jobs) AS n;
  PERFORM tallymark.merge_progress(prefix || n, bench.lifelike_update(prefix || n, clock_timestamp(), n, 1))
  FROM generate_series(1, jobs) AS n;
END
$$;

-- Gives a new job a history: the first update is merged, the others are put into the ledger at once, and then the job
-- gets the state that its ledger says. That is several times as fast as merging each, and verify_job cannot tell.
CREATE FUNCTION bench.make_history(job_id text, events integer) RETURNS void
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
  v_start CONSTANT timestamptz := clock_timestamp() - events * interval '1 second';
BEGIN
  PERFORM tallymark.create_job(make_history.job_id);
  PERFORM tallymark.merge_progress(make_history.job_id, bench.lifelike_update(make_history.job_id, v_start, 1, 1));
  INSERT INTO tallymark.job_event (job_id, seq, event, update_key, occurred_at, payload)
  SELECT make_history.job_id, n, 'progress_update', tallymark.update_key(u.payload, u.payload::text), u.at, u.payload
  FROM generate_series(2, events) AS n
  CROSS JOIN LATERAL (SELECT v_start + n * interval '0.9 seconds') AS t (at)
  CROSS JOIN LATERAL (SELECT t.at, bench.lifelike_update(make_history.job_id, t.at, n, 5)) AS u (at, payload);
  UPDATE tallymark.job AS j SET
    status = f.status, progress = f.progress, facets = f.facets, workers = f.workers, newest_at = f.newest_at,
    newest_key = f.newest_key, newest_fields = f.newest_fields, clocks = f.clocks, resume_state = f.resume_state,
    started_at = f.started_at, finished_at = f.finished_at, last_seq = f.last_seq
  FROM tallymark.fold_ledger(make_history.job_id) AS f
  WHERE j.id = make_history.job_id;
END
$$;

-- Gives every tenth of the jobs of make_running_jobs three events, recorded in the last three hours.
CREATE FUNCTION bench.make_ledgers(jobs integer) RETURNS void
LANGUAGE sql VOLATILE
BEGIN ATOMIC
  INSERT INTO tallymark.job_event (job_id, seq, event, update_key, occurred_at, recorded_at, payload)
  SELECT 'job_' || n, s, 'progress_update', '#' || n || '.' || s, t.at, t.at, bench.lifelike_update('job_' || n, t.at, n, 3)
  FROM generate_series(10, make_ledgers.jobs, 10) AS n
  CROSS JOIN generate_series(1, 3) AS s
  CROSS JOIN LATERAL (
    SELECT statement_timestamp() - (3 - (n::numeric / make_ledgers.jobs + s) / 4) * interval '1 hour') AS t (at);
END;

-- What an overview shows first: jobs called prefix || 1 and so on, with three updates each; every fourth of them is over,
-- half of those by an error.
CREATE FUNCTION bench.make_shown_jobs(prefix text, jobs integer) RETURNS void
LANGUAGE plpgsql VOLATILE
AS $$
BEGIN
  PERFORM bench.make_jobs(make_shown_jobs.prefix, make_shown_jobs.jobs);
  PERFORM tallymark.merge_progress(prefix || n, bench.lifelike_update(prefix || n, clock_timestamp(), n * 1000 * s, s)
    || CASE WHEN s < 3 OR n % 4 > 0 THEN '{}'
      WHEN n % 8 > 0 THEN '{"status": "completed"}'
      ELSE '{"status": "failed", "error": {"type": "TimeoutError", "message": "no answer in 30 s"}}' END::jsonb)
  FROM generate_series(1, make_shown_jobs.jobs) AS n, generate_series(2, 3) AS s;
END
$$;

-- Lets jobs that make_shown_jobs made fall silent: every fifth, as if its updates had come an hour earlier.
CREATE FUNCTION bench.silence_shown_jobs(prefix text, jobs integer) RETURNS void
LANGUAGE sql VOLATILE
BEGIN ATOMIC
  UPDATE tallymark.job_event AS e SET recorded_at = e.recorded_at - interval '1 hour'
  FROM generate_series(1, silence_shown_jobs.jobs, 5) AS n
  WHERE e.job_id = silence_shown_jobs.prefix || n;
  UPDATE tallymark.job AS j SET updated_at = j.updated_at - interval '1 hour'
  FROM generate_series(1, silence_shown_jobs.jobs, 5) AS n
  WHERE j.id = silence_shown_jobs.prefix || n;
END;
