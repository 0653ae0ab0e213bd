-- With counting: cumulative, itemsByType holds the worker's running totals. Increments are added to them.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(8);
\ir ../helpers.psql

CREATE FUNCTION pg_temp.items_after(payload jsonb) RETURNS jsonb LANGUAGE sql
RETURN (SELECT j.progress -> 'itemsByType'
  FROM pg_temp.job_after(payload || jsonb_build_object('updateId', gen_random_uuid())) AS j);
DO $$ BEGIN PERFORM tallymark.create_job('job'); END $$;

SELECT is(pg_temp.items_after('{"counting": "cumulative", "itemsByType": {"issues": 5}}'), '{"issues": 5}',
  'a running total');
SELECT is(pg_temp.items_after('{"counting": "cumulative", "itemsByType": {"issues": 8, "commits": 1}}'),
  '{"issues": 8, "commits": 1}', 'a higher one replaces it');
SELECT is(pg_temp.items_after('{"counting": "cumulative", "itemsByType": {"issues": 6}}'),
  '{"issues": 8, "commits": 1}', 'a lower one is passed over');
SELECT is(pg_temp.items_after('{"counting": "cumulative", "workerId": "w", "itemsByType": {"issues": 4}}'),
  '{"issues": 12, "commits": 1}', 'that of another worker is added');
SELECT is(pg_temp.items_after('{"itemsByType": {"issues": 100}}'), '{"issues": 112, "commits": 1}',
  'an increment is added to the running totals');
SELECT is(pg_temp.items_after('{"counting": "cumulative", "itemsByType": {"issues": 50}}'),
  '{"issues": 154, "commits": 1}', 'and the worker''s next total counts only beyond its own last: 50 + 4 + 100');
SELECT is(pg_temp.items_after('{"counting": "cumulative", "itemsByType": {"issues": 50.0}}')::text,
  '{"issues": 154, "commits": 1}', 'a fraction of nought changes nothing');
SELECT ok(tallymark.verify_job('job'), 'a fold of the ledger gives the same');

SELECT * FROM finish();
ROLLBACK;
