-- itemsByType holds increments: each type is summed over the updates, whatever their order and their worker.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(7);
\ir ../helpers.psql

CREATE FUNCTION pg_temp.items_after(payload jsonb) RETURNS jsonb LANGUAGE sql
RETURN (SELECT j.progress -> 'itemsByType' FROM pg_temp.job_after(payload) AS j);
DO $$ BEGIN PERFORM tallymark.create_job('job'); END $$;

SELECT is(pg_temp.items_after('{"timestamp": "2025-01-06T10:01:00Z", "itemsByType": {"issues": 5}}'), '{"issues": 5}',
  'the first report is the count');
SELECT is(pg_temp.items_after('{"timestamp": "2025-01-06T10:02:00Z", "itemsByType": {"issues": 2, "commits": 4}}'),
  '{"issues": 7, "commits": 4}', 'the next is added, and a new type begins');
SELECT is(pg_temp.items_after('{"timestamp": "2025-01-06T09:00:00Z", "itemsByType": {"issues": 10}}'),
  '{"issues": 17, "commits": 4}', 'a late one is added too');
SELECT is(pg_temp.items_after('{"timestamp": "2025-01-06T10:03:00Z", "workerId": "w2", "itemsByType": {"issues": 1}}'),
  '{"issues": 18, "commits": 4}', 'and that of another worker');
SELECT is(pg_temp.items_after('{"timestamp": "2025-01-06T10:04:00Z", "counting": "increment",
  "itemsByType": {"commits": 0}}'),
  '{"issues": 18, "commits": 4}', 'nought adds nothing');
SELECT is(pg_temp.items_after('{"timestamp": "2025-01-06T10:05:00Z", "itemsByType": {"commits": 3.0}}')::text,
  '{"issues": 18, "commits": 7}', 'a whole number with a fraction of nought is kept without it');
SELECT is(pg_temp.items_after('{"timestamp": "2025-01-06T10:06:00Z", "itemsByType": {}}'),
  '{"issues": 18, "commits": 7}', 'no types, no change');

SELECT * FROM finish();
ROLLBACK;
