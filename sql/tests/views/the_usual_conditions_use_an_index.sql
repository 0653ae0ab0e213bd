-- As a reader asks: the planner must see through the views to the indexes of the tables.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(17);

INSERT INTO tallymark.job (id, status, progress, facets, last_seq, created_at, updated_at, finished_at)
SELECT 'test-' || n % 100 || '-' || n, CASE WHEN n % 200 = 0 THEN 'paused' WHEN n % 2 = 0 THEN 'finished' ELSE 'running' END,
  jsonb_build_object('processedItems', n, 'totalItems', 20000),
  jsonb_build_object('stage', 'stage ' || n % 100, 'itemTypes', jsonb_build_array('type ' || n % 50)), 3,
  '2025-01-01'::timestamptz + n * interval '1 minute', '2025-01-02'::timestamptz + n * interval '1 minute',
  CASE WHEN n % 2 = 0 THEN '2025-01-02'::timestamptz + n * interval '1 minute' END
FROM generate_series(1, 20000) AS n;
INSERT INTO tallymark.job_event (job_id, seq, event, update_key, occurred_at, recorded_at, payload)
SELECT j.id, s.seq, CASE WHEN n.number % 100 = 0 THEN 'error' ELSE 'progress_update' END, '=' || s.seq,
  '2030-01-01'::timestamptz + n.number * interval '1 minute', '2030-01-01'::timestamptz + n.number * interval '1 minute',
  jsonb_build_object('updateId', s.seq::text, 'message', repeat('x', 100))
FROM (SELECT t.id, row_number() OVER (ORDER BY t.id) AS number FROM tallymark.job AS t WHERE starts_with(t.id, 'test-')) AS j
CROSS JOIN generate_series(1, 3) AS s (seq)
CROSS JOIN LATERAL (SELECT (s.seq - 1) * 20000 + j.number AS number) AS n
ORDER BY n.number;
ANALYZE tallymark.job, tallymark.job_event;

-- The indexes by which a reader's query reads, in the order of their names; 'all of TABLE' where it reads a whole table.
CREATE FUNCTION pg_temp.reads(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  v_plan jsonb;
BEGIN
  SET LOCAL ROLE tallymark_reader;
  EXECUTE 'EXPLAIN (FORMAT json) ' || reads.query INTO v_plan;
  RESET ROLE;
  RETURN (SELECT string_agg(DISTINCT coalesce(s.node ->> 'Index Name', 'all of ' || (s.node ->> 'Relation Name')), ', ')
    FROM jsonb_path_query(v_plan, 'strict $.** ? (exists(@."Index Name") || @."Node Type" == "Seq Scan")') AS s (node));
END
$$;

-- Two indexes begin with job_id; which of them is read where only the job is named does not matter.
SELECT matches(pg_temp.reads(q.query), '^' || q.indexes || '$', q.says)
FROM (VALUES
  (1, 'jobs by id', $$SELECT * FROM tallymark.jobs WHERE id = 'test-7-7'$$, 'job_pkey'),
  (2, 'jobs by several ids', $$SELECT * FROM tallymark.jobs WHERE id IN ('test-7-7', 'test-8-8')$$, 'job_pkey'),
  (3, 'jobs by the beginning of the id', $$SELECT * FROM tallymark.jobs WHERE starts_with(id, 'test-77-')$$, 'job_pkey'),
  (4, 'or as a pattern', $$SELECT * FROM tallymark.jobs WHERE id LIKE 'test-77-%'$$, 'job_pkey'),
  (5, 'jobs after an id', $$SELECT * FROM tallymark.jobs WHERE id > 'test-5' ORDER BY id LIMIT 10$$, 'job_pkey'),
  (6, 'jobs of a rare status', $$SELECT * FROM tallymark.jobs WHERE status = 'paused' ORDER BY id LIMIT 10$$,
    'job_status_idx'),
  (7, 'the newest jobs', $$SELECT * FROM tallymark.jobs ORDER BY created_at DESC LIMIT 10$$, 'job_created_idx'),
  (8, 'jobs that ended in a time', $$SELECT * FROM tallymark.jobs WHERE finished_at > '2025-01-15 20:00'$$,
    'job_finished_idx'),
  (9, 'jobs by a facet', $$SELECT * FROM tallymark.jobs WHERE facets @> '{"stage": "stage 7"}'$$, 'job_facets_idx'),
  (10, 'events of a job', $$SELECT * FROM tallymark.events WHERE job_id = 'test-7-7'$$,
    'job_event_(pkey|update_key)'),
  (11, 'events of a job from a number on',
    $$SELECT * FROM tallymark.events WHERE job_id = 'test-7-7' AND seq > 1 ORDER BY seq$$, 'job_event_pkey'),
  (12, 'events of a kind of a job', $$SELECT * FROM tallymark.events WHERE job_id = 'test-7-7' AND kind = 'error'$$,
    'job_event_(pkey|update_key)'),
  (13, 'events of a time',
    $$SELECT * FROM tallymark.events WHERE recorded_at BETWEEN '2030-02-01' AND '2030-02-01 01:00'$$,
    'job_event_recorded_idx'),
  (14, 'errors of a time', $$SELECT * FROM tallymark.events WHERE kind = 'error' AND payload IS NOT NULL
      AND recorded_at > '2030-02-11 12:00'$$, 'job_event_error_idx'),
  (15, 'jobs with the events of one', $$SELECT * FROM tallymark.jobs AS j JOIN tallymark.events AS e ON e.job_id = j.id
    WHERE j.id = 'test-7-7'$$, 'job_event_(pkey|update_key), job_pkey'),
  (16, 'jobs that were reported on in a time', $$SELECT j.* FROM tallymark.jobs AS j WHERE j.id IN (
      SELECT e.job_id FROM tallymark.events AS e WHERE e.recorded_at > '2030-02-11 15:55')$$,
    'job_event_recorded_idx, job_pkey'),
  (17, 'updated_at alone has none', $$SELECT * FROM tallymark.jobs WHERE updated_at > '2025-01-15'$$, 'all of job')
) AS q (number, says, query, indexes)
ORDER BY q.number;

SELECT * FROM finish();
ROLLBACK;
