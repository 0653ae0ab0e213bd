-- Each worker's processedItems never falls, and the job's is the sum over its workers.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(8);
\ir ../helpers.psql

CREATE FUNCTION pg_temp.processed_after(worker text, processed integer) RETURNS integer LANGUAGE sql
RETURN (SELECT (j.progress -> 'processedItems')::integer
  FROM pg_temp.job_after(
    jsonb_build_object('updateId', gen_random_uuid(), 'workerId', worker, 'processedItems', processed)) AS j);
DO $$ BEGIN PERFORM tallymark.create_job('job'); END $$;

SELECT is(pg_temp.processed_after(NULL, 10), 10, 'a worker without a name');
SELECT is(pg_temp.processed_after('w1', 5), 15, 'one with a name is another');
SELECT is(pg_temp.processed_after('w2', 20), 35, 'and a third');
SELECT is(pg_temp.processed_after('w1', 8), 38, 'only what a worker has more than before is added');
SELECT is(pg_temp.processed_after('w2', 3), 38, 'a lower value is passed over');
SELECT is(pg_temp.processed_after(NULL, 12), 40, 'also for the one without a name');
SELECT is(pg_temp.processed_after('W1', 1), 41, 'letter case makes another worker');
SELECT ok(tallymark.verify_job('job'), 'a fold of the ledger gives the same');

SELECT * FROM finish();
ROLLBACK;
