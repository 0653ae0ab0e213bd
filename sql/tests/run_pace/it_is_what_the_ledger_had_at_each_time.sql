-- How many items a run had at which time follows from its ledger, also when its events were pruned.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(16);

CREATE FUNCTION pg_temp.pace(job_id text) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  v_pace tallymark.job_pace := tallymark.run_pace(job_id);
BEGIN
  RETURN tallymark.pace_points(v_pace) -> 'pace';
END
$$;
CREATE FUNCTION pg_temp.report(job_id text, second integer, members jsonb) RETURNS void LANGUAGE sql
BEGIN ATOMIC
  SELECT tallymark.merge_progress(job_id, members || jsonb_build_object('timestamp',
    '2025-01-06T10:00:00Z'::timestamptz + second * interval '1 second'));
END;

DO $$
BEGIN
  PERFORM tallymark.create_job(id, '{"series": "s"}')
  FROM unnest('{plain,workers,total,keys,areas,late,queued,idle}'::text[]) AS j (id);
  PERFORM pg_temp.report('plain', 0, '{"status": "started"}');
  PERFORM pg_temp.report('plain', 10, '{"itemsByType": {"a": 2, "b": 1}}');
  PERFORM pg_temp.report('plain', 20, '{"message": "nothing new"}');
  PERFORM pg_temp.report('plain', 30, '{"itemsByType": {"a": 4}}');
  PERFORM pg_temp.report('plain', 100, '{"status": "completed"}');
  PERFORM pg_temp.report('workers', 0, '{"workerId": "1", "counting": "cumulative", "itemsByType": {"a": 5}}');
  PERFORM pg_temp.report('workers', 10, '{"workerId": "2", "counting": "cumulative", "itemsByType": {"a": 5}}');
  PERFORM pg_temp.report('workers', 20, '{"workerId": "1", "counting": "cumulative", "itemsByType": {"a": 4}}');
  PERFORM pg_temp.report('workers', 30, '{"workerId": "1", "counting": "cumulative", "itemsByType": {"a": 7}}');
  PERFORM pg_temp.report('workers', 40, '{"workerId": "2", "itemsByType": {"a": 1}}');
  PERFORM pg_temp.report('total', 0, '{"processedItems": 3, "itemsByType": {"a": 100}}');
  PERFORM pg_temp.report('total', 10, '{"processedItems": 9}');
  PERFORM pg_temp.report('total', 20, '{"processedItems": 4, "workerId": "w"}');
  PERFORM pg_temp.report('keys', 0, '{"itemKeys": {"a": ["1", "2"]}}');
  PERFORM pg_temp.report('keys', 10, '{"itemKeys": {"a": ["2", "3"]}}');
  PERFORM pg_temp.report('areas', 0, '{"areas": [{"type": "group", "fullPath": "g"}]}');
  PERFORM pg_temp.report('areas', 10, '{"areas": [{"type": "group", "fullPath": "g"}, {"type": "project", "fullPath": "p"}]}');
  PERFORM pg_temp.report('late', 0, '{"status": "started"}');
  PERFORM pg_temp.report('late', 40, '{"itemsByType": {"a": 1}}');
  PERFORM pg_temp.report('late', 20, '{"itemsByType": {"a": 2}}');
  PERFORM pg_temp.report('idle', 0, '{"status": "started"}');
END
$$;
SELECT is(pg_temp.pace('plain'), '[[10, 3], [30, 7]]', 'increments are added up');
SELECT is(pg_temp.pace('workers'), '[[0, 5], [10, 10], [30, 12], [40, 13]]', 'of running totals the highest of each worker');
SELECT is(pg_temp.pace('total'), '[[0, 3], [10, 9], [20, 13]]', 'processedItems goes before the counts by type');
SELECT is(pg_temp.pace('keys'), '[[0, 2], [10, 3]]', 'of keys those that were new');
SELECT is(pg_temp.pace('areas'), '[[0, 1], [10, 2]]', 'and so of areas');
SELECT is(pg_temp.pace('late'), '[[20, 2], [40, 3]]', 'a late update counts at its own time');
SELECT is(pg_temp.pace('queued'), '[]', 'a job that has not started has no pace');
SELECT is(pg_temp.pace('idle'), '[]', 'nor has one without items');
SELECT is(pg_temp.pace('no such job'), '[]', 'nor one that is not there');

-- A long run keeps 100 points.
DO $$
BEGIN
  PERFORM tallymark.create_job('long', '{"series": "s"}');
  PERFORM pg_temp.report('long', n, '{"itemsByType": {"a": 1}}') FROM generate_series(0, 999) AS n;
END
$$;
SELECT is(jsonb_array_length(pg_temp.pace('long')) BETWEEN 100 AND 101, true, 'of a thousand updates a hundred points');
SELECT is(pg_temp.pace('long') -> -1, '[999, 1000]', 'and the last one');

CREATE TEMPORARY TABLE before AS SELECT id, pg_temp.pace(id) AS pace
FROM unnest('{plain,workers,total,keys,areas,late,long}'::text[]) AS j (id);
DO $$ BEGIN PERFORM tallymark.prune_job(id, 'infinity', 1) FROM before; END $$;
SELECT results_eq('SELECT id, pg_temp.pace(id) FROM before', 'SELECT id, pace FROM before', 'it outlives the events');
DO $$
BEGIN
  PERFORM pg_temp.report('workers', 50, '{"workerId": "1", "counting": "cumulative", "itemsByType": {"a": 8}}');
  PERFORM pg_temp.report('total', 30, '{"processedItems": 11}');
END
$$;
SELECT is(pg_temp.pace('workers'), '[[0, 5], [10, 10], [30, 12], [40, 13], [50, 14]]', 'and goes on after it');
SELECT is(pg_temp.pace('total'), '[[0, 3], [10, 9], [20, 13], [30, 15]]', 'with all kinds of counts');
DO $$ BEGIN PERFORM tallymark.prune_job('workers', 'infinity', 0); END $$;
SELECT is(pg_temp.pace('workers'), '[[0, 5], [10, 10], [30, 12], [40, 13], [50, 14]]', 'and is kept again');
DO $$ BEGIN PERFORM tallymark.delete_job('plain'); END $$;
SELECT is_empty($$ SELECT 1 FROM tallymark.job_pace WHERE job_id = 'plain' $$, 'it goes with the job');

SELECT * FROM finish();
ROLLBACK;
