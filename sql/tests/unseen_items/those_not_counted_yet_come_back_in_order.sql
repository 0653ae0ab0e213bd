-- A crawler asks which items are new to its job: they come back in order, each once.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(19);
\ir ../helpers.psql

DO $$
BEGIN
  PERFORM tallymark.create_job('job'), tallymark.create_job('other');
  PERFORM tallymark.merge_progress('job', '{"updateId": "1", "itemKeys": {"pages": ["a", "é"]}}');
END
$$;
SELECT is(tallymark.unseen_items('job', 'pages', '{z,a,b,z,é,a,b}'), '{z,b}', 'those that were not counted, in order');
SELECT is(tallymark.unseen_items('job', 'issues', '{z,a}'), '{z,a}', 'another type');
SELECT is(tallymark.unseen_items('other', 'pages', '{a}'), '{a}', 'another job');
SELECT is(tallymark.unseen_items('job', 'pages', '{a}'), '{}', 'none');
SELECT is(tallymark.unseen_items('job', 'pages', '{}'), '{}', 'of none');
SELECT is(tallymark.unseen_items('job', 'pages', ARRAY[repeat('x', 1024)]), ARRAY[repeat('x', 1024)], 'a long key');
SELECT is(cardinality(tallymark.unseen_items('job', 'pages', array_agg(n::text))), 1000, '1000 keys')
FROM generate_series(1, 1000) AS n;
SELECT is((SELECT count(*) FROM tallymark.job_item WHERE job_id = 'job'), 2::bigint, 'asking counts nothing');
-- The text of an array is read again, with its nulls.
CREATE FUNCTION pg_temp.refused_for(type text, keys text[]) RETURNS text LANGUAGE sql SET array_nulls = on
RETURN pg_temp.fields_refused(format('unseen_items(''job'', %L, %L)', type, keys));
SELECT is(pg_temp.refused_for(c.type, c.keys), c.fields, c.fields)
FROM (VALUES (1, NULL, '{a}'::text[], 'type'), (2, '', '{a}', 'type'), (3, repeat('x', 101), '{a}', 'type'),
  (4, 'pages', NULL, 'keys'), (5, 'pages', ARRAY['a', NULL, ''], 'keys[1] keys[2]'),
  (6, 'pages', ARRAY[repeat('x', 1025)], 'keys[0]'), (7, '', '{""}', 'keys[0] type')) AS c (number, type, keys, fields)
ORDER BY c.number;
SELECT is(pg_temp.refused_for('pages', array_agg(n::text)), 'keys', '1001 keys') FROM generate_series(1, 1001) AS n;
SELECT throws_ok($$ SELECT tallymark.unseen_items('unknown', 'pages', '{a}') $$, 'TK404', NULL, 'an unknown job');
SELECT throws_ok($$ SELECT tallymark.unseen_items(NULL, 'pages', '{a}') $$, 'TK400', NULL, 'no job');
SELECT is(pg_temp.outcome_as('tallymark_writer', $$SELECT tallymark.unseen_items('job', 'pages', '{a}')$$)
  || pg_temp.outcome_as('tallymark_reader', $$SELECT tallymark.unseen_items('job', 'pages', '{a}')$$), 'done42501',
  'writers may ask');

SELECT * FROM finish();
ROLLBACK;
