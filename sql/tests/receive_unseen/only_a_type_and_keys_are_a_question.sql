-- A body from HTTP may be anything: all but an object with a type and keys is refused, and every problem is named.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(15);
\ir ../helpers.psql

DO $$
BEGIN
  PERFORM tallymark.create_job('job');
  PERFORM tallymark.merge_progress('job', '{"updateId": "1", "itemKeys": {"pages": ["a"]}}');
END
$$;
SELECT is(tallymark.receive_unseen('{"type": "pages", "keys": ["b", "a", "b"], "more": 1e131071}', 'job'),
  '{"unseen": ["b"]}', 'a valid body; other members are ignored');
SELECT throws_ok(format('SELECT tallymark.receive_unseen(%L, %L)', c.body, 'job'), 'TK400', c.error,
  c.error || ': ' || coalesce(left(c.body, 30), 'nothing'))
FROM (VALUES (1, '[]', 'Invalid request body'), (2, '"a"', 'Invalid request body'), (3, NULL, 'Invalid request body'),
  (4, '{}', 'Invalid keys'), (5, '{"type": "pages"}', 'Invalid keys'), (6, '{"keys": ["a"]}', 'Invalid keys'),
  (7, '{"type": 1e131071, "keys": 1e131071}', 'Invalid keys'), (8, '{"type": "pages", "keys": {"a": 1}}', 'Invalid keys'))
  AS c (number, body, error) ORDER BY c.number;
CREATE FUNCTION pg_temp.refused_for(body jsonb) RETURNS text LANGUAGE sql
RETURN pg_temp.fields_refused(format('receive_unseen(%L, ''job'')', body));
SELECT is(pg_temp.refused_for('{"type": null, "keys": ["a", 1e131071, null, ["b"], ""]}'),
  'keys[1] keys[2] keys[3] keys[4] type', 'every problem is named');
SELECT is(pg_temp.refused_for('{}'), 'keys type', 'also where both are missing');
SELECT is(pg_temp.refused_for('{"type": "pages", "keys": []}'), 'taken', 'no keys are a question');
SELECT is(tallymark.receive_unseen('{"type": "pages", "keys": []}', 'job'), '{"unseen": []}', 'and its answer');
SELECT is(tallymark.receive_unseen('{"type": "x", "keys": ["a"]}', 'job'), '{"unseen": ["a"]}', 'of a new type all are new');
SELECT throws_ok($$ SELECT tallymark.receive_unseen('{"type": "pages", "keys": ["a"]}', 'unknown') $$, 'TK404',
  'Job not found', 'an unknown job');

SELECT * FROM finish();
ROLLBACK;
