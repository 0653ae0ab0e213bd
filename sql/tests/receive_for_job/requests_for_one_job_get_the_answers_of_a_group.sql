-- Requests for one job that are merged in one call get what receive_group would give each. One update alone is refused as
-- receive_progress refuses it.
BEGIN;
SET LOCAL search_path = tap, public;
SET LOCAL array_nulls = on; -- arrays are written as text here
SELECT plan(16);
\ir ../helpers.psql

SELECT tallymark.create_job(id) FROM unnest('{f-a,f-b,f-c}'::text[]) AS id;
CREATE FUNCTION pg_temp.update_of(job text, id text DEFAULT NULL) RETURNS jsonb LANGUAGE sql
RETURN jsonb_strip_nulls(jsonb_build_object('taskId', job, 'updateId', id, 'status', 'processing',
  'timestamp', '2025-01-06T10:00:00Z', 'itemsByType', '{"issues": 2}'::jsonb));
CREATE FUNCTION pg_temp.count_of(job text) RETURNS jsonb LANGUAGE sql
RETURN (SELECT j.progress #> '{itemsByType,issues}' FROM tallymark.job AS j WHERE j.id = job);

-- One by itself.
SELECT is(jsonb_build_array((a #>> '{0,0}')::jsonb - '{message,command,warnings}'::text[]) || (a #- '{0,0}'),
  '[{"seq": 1, "status": "received", "duplicate": false}, [null, null]]',
  'an update is taken: its answer is a string with JSON, refusal and held are null')
FROM tallymark.receive_for_job('f-a', ARRAY[pg_temp.update_of('f-a')], '{k1}', '{NULL}', false, 1000, false) AS a;
SELECT is((a #>> '{0,0}')::jsonb - '{message,command,warnings}'::text[],
  '{"seq": 1, "status": "received", "duplicate": true}', 'its key is that of the header: again it is a duplicate')
FROM tallymark.receive_for_job('f-a', ARRAY[pg_temp.update_of('f-a')], '{k1}', '{NULL}', false, 1000, false) AS a;
SELECT throws_ok(format('SELECT tallymark.receive_for_job(''f-a'', ARRAY[%L]::jsonb[], ''{k}'', %L, false, 1000, false)',
  r.body, ARRAY[r.prefix]), r.sqlstate, NULL, 'alone it is refused: ' || r.sqlstate)
FROM (VALUES
  (1, pg_temp.update_of('f-a') || '{"status": "lost"}', NULL, 'TK400'),
  (2, pg_temp.update_of('f-a'), 'mine-', 'TK403'),
  (3, pg_temp.update_of('nobody'), NULL, 'TK404')) AS r (number, body, prefix, sqlstate)
ORDER BY r.number;
SELECT is(pg_temp.count_of('f-a'), '2', 'and counts nothing');

-- Several.
SELECT is(jsonb_agg(jsonb_build_array((r.value ->> 0)::jsonb -> 'seq', r.value -> 1 -> 'sqlstate', r.value -> 2)
    ORDER BY r.number),
  '[[2, null, null], [null, "TK400", null], [null, null, null], [3, null, null], [1, null, null], [null, "TK403", null]]',
  'of several each gets its own answer, in order, a body of another job and a null, too')
FROM tallymark.receive_for_job('f-a', ARRAY[
    pg_temp.update_of('f-a', 'v'), pg_temp.update_of('f-a') || '{"status": "lost"}', NULL, pg_temp.update_of('f-a', 'w'),
    pg_temp.update_of('f-b', 'v'), pg_temp.update_of('f-a', 'x')],
  '{}', '{"","","","","",mine-}', false, 1000, false) AS a, jsonb_array_elements(a) WITH ORDINALITY AS r (value, number);
SELECT is(jsonb_build_array(pg_temp.count_of('f-a'), pg_temp.count_of('f-b')), '[6, 2]', 'what was accepted is counted once');
SELECT is(tallymark.verify_job('f-a') AND tallymark.verify_job('f-b'), true, 'and the ledgers say the same');
SELECT is(jsonb_path_query_array((a #>> '{0,0}')::jsonb, '$[*].status'), '["received", 404]',
  'a batch alone gets one answer for each of its updates')
FROM tallymark.receive_for_job('f-b',
  ARRAY[jsonb_build_array(pg_temp.update_of('f-b', 'z'), pg_temp.update_of('nobody'))], '{NULL}', '{NULL}', true, 1000,
  false) AS a;
SELECT is(tallymark.receive_for_job('f-a', '{}', '{}', '{}', false, 1000, false), '[]', 'without bodies there are no answers');

SELECT throws_ok('SELECT tallymark.receive_for_job(NULL, ''{}'', ''{}'', ''{}'', false, 1000, false)', 'TK400', NULL,
  'a call without the job is refused');

-- Registering.
SELECT is((a #>> '{0,0}')::jsonb ->> 'seq', '1', 'with register an unknown job is registered by its first update')
FROM tallymark.receive_for_job('f-new', ARRAY[pg_temp.update_of('f-new')], '{k}', '{NULL}', false, 1000, true) AS a;
SELECT is(jsonb_path_query_array(a, '$[*][1]'), '[null, null]', 'and by several')
FROM tallymark.receive_for_job('f-many', ARRAY[pg_temp.update_of('f-many', 'a'), pg_temp.update_of('f-many', 'b')],
  '{}', '{}', false, 1000, true) AS a;
SELECT is(jsonb_build_array(pg_temp.count_of('f-new'), pg_temp.count_of('f-many')), '[2, 4]', 'and each is counted');

-- The time that is waited for locks is the call's own.
SELECT is(current_setting('lock_timeout'), '1s', 'lock_timeout is that of the call, as long as its transaction lasts');

SELECT * FROM finish();
ROLLBACK;
