-- Running totals are a maximum per worker, so a restarted worker continues from its own totals. From the job's totals
-- it would count the items of the other workers again.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(18);

DO $$
BEGIN
  PERFORM tallymark.create_job('job'), tallymark.create_job('named'), tallymark.create_job('counted',
    '{"counting": "cumulative"}');
END
$$;
-- The member worker in the answer to a start after some updates, whose own answers do not have it.
CREATE FUNCTION pg_temp.worker(start jsonb, job text DEFAULT 'job', VARIADIC before jsonb[] DEFAULT '{}')
RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  v_update jsonb;
BEGIN
  FOREACH v_update IN ARRAY before LOOP
    PERFORM tallymark.merge_progress(job, v_update);
  END LOOP;
  RETURN tallymark.merge_progress(job, start || '{"status": "started"}') -> 'worker';
END
$$;

SELECT is(pg_temp.worker('{}'), '{"processedItems": 0, "itemsByType": {}}',
  'a worker that has counted nothing gets 0 and {}');
SELECT is(pg_temp.worker('{"workerId": "w"}'), '{"processedItems": 0, "itemsByType": {}}', 'a named worker, too');
SELECT is(workers, NULL, 'asking does not register the worker') FROM tallymark.job WHERE id = 'job';
SELECT is(pg_temp.worker('{}', 'job', '{"processedItems": 5, "itemsByType": {"issues": 5}}'),
  '{"processedItems": 5, "itemsByType": {}}', 'the only, unnamed worker has the job''s processedItems');
SELECT is(pg_temp.worker('{"processedItems": 8.0}'), '{"processedItems": 8, "itemsByType": {}}',
  'the totals of the start itself are included');
SELECT is(pg_temp.worker('{"workerId": "w"}'), '{"processedItems": 0, "itemsByType": {}}',
  'a named worker does not get the totals of the unnamed one');
SELECT is(pg_temp.worker('{"workerId": "w"}', 'job', '{"workerId": "w", "processedItems": 20}',
  '{"workerId": "w", "processedItems": 15}'),
  '{"processedItems": 20, "itemsByType": {}}', 'a named worker has its highest');
SELECT is(pg_temp.worker('{}'), '{"processedItems": 8, "itemsByType": {}}', 'the unnamed worker keeps its own');
SELECT is(pg_temp.worker('{"workerId": null}'), '{"processedItems": 8, "itemsByType": {}}',
  'a null workerId means the unnamed worker');
SELECT is(pg_temp.worker('{"workerId": "v"}'), '{"processedItems": 0, "itemsByType": {}}',
  'another worker begins with 0');
SELECT is(progress -> 'processedItems', '28', 'the job has the sum') FROM tallymark.job WHERE id = 'job';
SELECT is(pg_temp.worker('{"workerId": "w"}', 'job',
  '{"workerId": "w", "counting": "cumulative", "itemsByType": {"issues": 7, "commits": 0}}',
  '{"workerId": "w", "itemsByType": {"issues": 100}}'),
  '{"processedItems": 20, "itemsByType": {"issues": 7, "commits": 0}}',
  'running totals by type are there, increments are not');
SELECT is(pg_temp.worker('{}', 'job', '{"groupCount": 3}'), '{"processedItems": 8, "itemsByType": {"groups": 3}}',
  'the legacy names of running totals are, too');
SELECT is(pg_temp.worker('{"itemsByType": {"issues": 4}}', 'counted'),
  '{"processedItems": 0, "itemsByType": {"issues": 4}}', 'running totals by the job''s attributes are there, too');
SELECT is(pg_temp.worker('{}', 'named', '{"workerId": "w", "processedItems": 9}'),
  '{"processedItems": 0, "itemsByType": {}}', 'where only a named worker has reported, the unnamed one has nothing');
SELECT is(pg_temp.worker('{"workerId": "w"}', 'named'), '{"processedItems": 9, "itemsByType": {}}',
  'and the named worker has all');
SELECT is(tallymark.merge_progress('named', '{"workerId": "w"}') ? 'worker', false,
  'only the answer to a start has it');
SELECT is(tallymark.acknowledgement(j, 1, false, '{"status": "started"}', '[]', false)
  ?| '{resume,newestTimestamp,worker}', false, 'and only where resume is allowed')
FROM tallymark.job AS j WHERE j.id = 'named';

SELECT * FROM finish();
ROLLBACK;
