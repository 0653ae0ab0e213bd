-- Finding out whether the updates of a batch are known takes one index lookup each, also where the plan was made while
-- the ledger was empty. Otherwise each would read the whole ledger of its job.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(3);

DO $$ BEGIN PERFORM tallymark.create_job('job'), tallymark.merge_progress('job', '{"updateId": "first"}'); END $$;
ANALYZE tallymark.job_event; -- so that all ways to read it look equally good
SET LOCAL plan_cache_mode = force_generic_plan;
CREATE FUNCTION pg_temp.known(VARIADIC keys text[]) RETURNS bigint[] LANGUAGE sql
RETURN tallymark.known_updates(ARRAY(
  SELECT ROW(k.number, 'job', NULL, k.key, NULL, NULL, NULL, NULL)::tallymark.batch_update FROM unnest(keys) WITH ORDINALITY AS k (key, number)));
SELECT is(pg_temp.known('=a', '=b'), '{}', 'nothing is known at first');

INSERT INTO tallymark.job_event (job_id, seq, event, update_key, occurred_at, payload)
SELECT 'job', n + 1, 'progress_update', '=' || n, now(), '{}' FROM generate_series(1, 20000) AS n;
SELECT is(pg_temp.known('=19999', '=2000', '=20001', '=200', '=', 'z'), '{1,2,4}',
  'then the updates in the ledger are');
CREATE TEMPORARY TABLE blocks AS SELECT pg_stat_get_xact_blocks_fetched('tallymark.job_event'::regclass)
  + pg_stat_get_xact_blocks_fetched('tallymark.job_event_pkey'::regclass) AS before;
DO $$ BEGIN PERFORM pg_temp.known(VARIADIC ARRAY(SELECT '=' || n FROM generate_series(1, 10) AS n)); END $$;
SELECT cmp_ok(pg_stat_get_xact_blocks_fetched('tallymark.job_event'::regclass)
  + pg_stat_get_xact_blocks_fetched('tallymark.job_event_pkey'::regclass) - b.before, '<', 60::bigint,
  'with one or two blocks for each') FROM blocks AS b;

SELECT * FROM finish();
ROLLBACK;
