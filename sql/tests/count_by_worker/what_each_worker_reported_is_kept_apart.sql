-- The reports of each worker are kept apart from the other workers' and from the increments, so that a late report is
-- compared with those of its own worker. While there is only one worker, nothing is stored twice.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(8);
\ir ../helpers.psql

CREATE FUNCTION pg_temp.after(payload jsonb) RETURNS jsonb LANGUAGE sql
RETURN (SELECT jsonb_build_array(j.workers, j.progress)
  FROM pg_temp.job_after(payload || jsonb_build_object('updateId', gen_random_uuid())) AS j);
DO $$ BEGIN PERFORM tallymark.create_job('job'); END $$;

SELECT is(pg_temp.after('{"processedItems": 5, "itemsByType": {"issues": 1}}'),
  '[null, {"processedItems": 5, "itemsByType": {"issues": 1}}]', 'one worker without a name');
SELECT is(pg_temp.after('{"itemsByType": {"issues": 1}, "workerId": "w"}'),
  '[null, {"processedItems": 5, "itemsByType": {"issues": 2}}]', 'increments need no entry for the worker');
SELECT is(pg_temp.after('{"processedItems": 7, "workerId": "w"}'),
  '[{"": {"processedItems": 5}, "w": {"processedItems": 7}},
  {"processedItems": 12, "itemsByType": {"issues": 2}}]', 'a second worker');
SELECT is(pg_temp.after('{"counting": "cumulative", "itemsByType": {"issues": 4}, "workerId": "w"}'),
  '[{"": {"processedItems": 5}, "w": {"processedItems": 7, "itemsByType": {"issues": 4}}},
  {"processedItems": 12, "itemsByType": {"issues": 6}}]', 'a running total beside increments');
SELECT is(pg_temp.after('{"processedItems": 6, "counting": "cumulative", "itemsByType": {"issues": 3, "groups": 0},
  "workerId": "w"}'),
  '[{"": {"processedItems": 5}, "w": {"processedItems": 7, "itemsByType": {"issues": 4, "groups": 0}}},
  {"processedItems": 12, "itemsByType": {"issues": 6, "groups": 0}}]', 'lower values change nothing');
SELECT is(pg_temp.after('{"groupCount": 2}'), '[{"": {"processedItems": 5, "itemsByType": {"groups": 2}},
  "w": {"processedItems": 7, "itemsByType": {"issues": 4, "groups": 0}}},
  {"processedItems": 12, "itemsByType": {"issues": 6, "groups": 2}}]',
    'a legacy running total of the worker without a name');
SELECT is(pg_temp.after('{"processedItems": 8}') #> '{1,processedItems}', '15',
  'whose processedItems continues from its own value');
SELECT ok(tallymark.verify_job('job'), 'a fold of the ledger gives the same');

SELECT * FROM finish();
ROLLBACK;
