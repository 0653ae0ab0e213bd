-- Where the endpoint is set to do so, the first update of an unknown job registers it, by itself, in a batch and in a
-- group. What is refused leaves nothing behind, and a caller registers none but the jobs of its prefix.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(20);
\ir ../helpers.psql

CREATE FUNCTION pg_temp.update_of(job text, id text DEFAULT 'u') RETURNS jsonb LANGUAGE sql
RETURN jsonb_build_object('taskId', job, 'updateId', id, 'status', 'processing', 'timestamp', '2025-01-06T10:00:00Z',
  'itemsByType', '{"issues": 2}'::jsonb);
CREATE FUNCTION pg_temp.known(beginning text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  RETURN (SELECT coalesce(string_agg(j.id, ' ' ORDER BY j.id), '') FROM tallymark.job AS j
  WHERE starts_with(j.id, beginning));
END
$$;

-- By itself.
SELECT throws_ok($$ SELECT tallymark.receive_progress(pg_temp.update_of('r1-a')) $$, 'TK404', NULL,
  'without register an unknown job is refused');
SELECT is(a - '{message,command,warnings}'::text[], '{"seq": 1, "status": "received", "duplicate": false}',
  'with it the update is taken')
FROM tallymark.receive_progress(pg_temp.update_of('r1-a'), register => true) AS a;
SELECT is(jsonb_build_object('status', j.status, 'counts', j.progress -> 'itemsByType', 'attributes', j.attributes,
    'verified', tallymark.verify_job(j.id)),
  '{"status": "running", "counts": {"issues": 2}, "attributes": {}, "verified": true}',
  'and the job is there, without attributes')
FROM tallymark.job AS j WHERE j.id = 'r1-a';
SELECT is(a -> 'duplicate', 'true', 'the same update again is a duplicate')
FROM tallymark.receive_progress(pg_temp.update_of('r1-a'), register => true) AS a;
SELECT is(j.created_at <= j.updated_at, true, 'it was registered before its first update')
FROM tallymark.job AS j WHERE j.id = 'r1-a';

-- What is refused registers nothing.
SELECT throws_ok('SELECT tallymark.receive_progress(' || quote_literal(r.body) || ', NULL, ' || quote_nullable(r.prefix)
  || ', true)', r.sqlstate, NULL, r.says)
FROM (VALUES
  (1, pg_temp.update_of('r2-a') || '{"processedItems": -1}', NULL, 'TK400', 'a wrong field'),
  (2, pg_temp.update_of('r2-b') - 'timestamp', NULL, 'TK400', 'no timestamp'),
  (3, pg_temp.update_of('r2-c') || '{"status": "lost"}', NULL, 'TK400', 'no such status'),
  (4, pg_temp.update_of(repeat('r', 256)), NULL, 'TK400', 'an id that no job can have'),
  (5, pg_temp.update_of(''), NULL, 'TK400', 'an empty id'),
  (6, pg_temp.update_of('r2-d') - 'taskId', NULL, 'TK400', 'no id'),
  (7, pg_temp.update_of('r2-e'), 'mine-', 'TK403', 'a job of another prefix')) AS r (number, body, prefix, sqlstate, says)
ORDER BY r.number;
SELECT is(pg_temp.known('r2-') || pg_temp.known('rrr'), '', 'and none of these is a job now');

-- A batch.
SELECT is(jsonb_path_query_array(a, '$[*].status'), '["received", 400, "received", 403, 400, "received"]',
  'in a batch each update is judged by itself')
FROM tallymark.receive_progress(jsonb_build_array(pg_temp.update_of('r3-b'), pg_temp.update_of('r3-c') || '{"stage": 7}',
  pg_temp.update_of('r3-a'), pg_temp.update_of('r4-a'), 7, pg_temp.update_of('r3-b', 'v')), NULL, 'r3-', true) AS a;
SELECT is(pg_temp.known('r3-') || pg_temp.known('r4-'), 'r3-a r3-b',
  'and only the jobs with a good one of the prefix are registered');
SELECT throws_ok($$ SELECT tallymark.receive_progress((SELECT jsonb_agg(pg_temp.update_of('r5-' || n))
  FROM generate_series(1, 1001) AS n), register => true) $$, 'TK413', NULL, 'too large a batch is refused');
SELECT is(pg_temp.known('r5-'), '', 'and registers nothing');

-- A group.
SELECT results_eq(
  $$SELECT g.answer -> 'seq', g.refusal ->> 'sqlstate', g.held FROM tallymark.receive_group(ARRAY[
    pg_temp.update_of('r6-b'), pg_temp.update_of('r6-c') || '{"status": "lost"}', NULL, pg_temp.update_of('r6-a'),
    pg_temp.update_of('r6-b', 'v'), pg_temp.update_of('r7-a')], '{}', '{r6-,"","",r6-,"",mine-}', register => true) AS g$$,
  $$VALUES ('1'::jsonb, NULL, NULL), (NULL, 'TK400', NULL), (NULL, NULL, NULL), ('1', NULL, NULL), ('2', NULL, NULL),
    (NULL, 'TK403', NULL)$$,
  'in a group, too, a refusal affects no other');
SELECT is(pg_temp.known('r6-') || pg_temp.known('r7-'), 'r6-a r6-b', 'and registers nothing');
SELECT is((SELECT bool_and(tallymark.verify_job(j.id)) FROM tallymark.job AS j WHERE starts_with(j.id, 'r')), true,
  'all of them have the state of their ledgers');

SELECT * FROM finish();
ROLLBACK;
