-- Over HTTP taskId, status and timestamp are required. The refusal has the original's message and, field by field, what
-- is missing and all other problems.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(15);
\ir ../helpers.psql

CREATE FUNCTION pg_temp.outcome(body jsonb) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  v_detail text;
BEGIN
  RETURN tallymark.receive_progress(body) ->> 'message';
EXCEPTION WHEN SQLSTATE 'TK400' THEN
  GET STACKED DIAGNOSTICS v_detail = PG_EXCEPTION_DETAIL;
  RETURN SQLERRM || ': ' || pg_temp.fields_named(v_detail);
WHEN SQLSTATE 'TK404' OR SQLSTATE 'TK413' THEN
  RETURN SQLSTATE || ' ' || SQLERRM;
END
$$;
DO $$ BEGIN PERFORM tallymark.create_job('job'); END $$;

SELECT is(pg_temp.outcome(c.body), c.outcome, c.words)
FROM (VALUES
  (1, '{"taskId": "job", "status": "started", "timestamp": "2025-01-06T19:15:30.000Z"}'::jsonb,
    'Progress update acknowledged for task job', 'all three are there'),
  (2, '{}', 'Missing required fields: taskId, status, timestamp: status taskId timestamp', 'none is'),
  (3, '{"taskId": "job", "status": "started"}', 'Missing required fields: taskId, status, timestamp: timestamp',
    'no timestamp'),
  (4, '{"taskId": "job", "timestamp": "2025-01-06T19:15:30.000Z"}',
    'Missing required fields: taskId, status, timestamp: status', 'no status'),
  (5, '{"status": "started", "timestamp": "2025-01-06T19:15:30.000Z"}',
    'Missing required fields: taskId, status, timestamp: taskId', 'no taskId'),
  (6, '{"taskId": null, "status": null, "timestamp": "2025-01-06T19:15:30.000Z"}',
    'Missing required fields: taskId, status, timestamp: status taskId', 'null is not given'),
  (7, '{"taskId": "job", "status": "started", "stage": 5, "processedItems": -1}',
    'Missing required fields: taskId, status, timestamp: processedItems stage timestamp',
      'other problems are told, too'),
  (8, '{"taskId": "job", "status": "done", "timestamp": "2025-01-06T19:15:30.000Z"}', 'Invalid status: done: status',
    'an unknown status'),
  (9, '{"taskId": "job", "status": "started", "timestamp": "now"}', 'Invalid progress payload: timestamp',
    'a time that is none'),
  (10, '{"taskId": 5, "status": "started", "timestamp": "2025-01-06T19:15:30.000Z"}',
    'Invalid progress payload: taskId',
    'a taskId that is a number'),
  (11, '{"taskId": "gone", "status": "started", "timestamp": "2025-01-06T19:15:30.000Z"}', 'TK404 Job not found',
    'an unknown job'),
  (12, '[]', NULL, 'an array is a batch, this one of nothing'),
  (13, '"x"', 'Invalid request body: ', 'a text'),
  (14, NULL, 'Invalid request body: ', 'nothing'),
  (15, jsonb_build_object('taskId', 'job', 'status', 'started', 'timestamp', '2025-01-06T19:15:30.000Z', 'x',
    repeat('y', 1048576)),
    'TK413 Progress payload too large', 'more than a mebibyte')) AS c (number, body, outcome, words)
ORDER BY c.number;

SELECT * FROM finish();
ROLLBACK;
