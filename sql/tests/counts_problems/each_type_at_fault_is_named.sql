-- Each type of itemsByType that is wrong is named.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(13);
\ir ../helpers.psql

DO $$ BEGIN PERFORM tallymark.create_job('job'); END $$;

SELECT is(pg_temp.at_fault(jsonb_build_object('itemsByType', c.counts)), c.outcome, c.words)
FROM (VALUES
  (1, '{"issues": 9007199254740991, "commits": 0, "x": 5.0}'::jsonb, 'taken', 'whole numbers up to the limit'),
  (2, '{"issues": 9007199254740992}', 'itemsByType.issues', 'one beyond the limit'),
  (3, '{"issues": 1, "commits": -1}', 'itemsByType.commits', 'a negative one'),
  (4, '{"issues": 1.5, "commits": "1"}', 'itemsByType.commits itemsByType.issues', 'a fraction and a text'),
  (5, '{"issues": {"open": 1}}', 'itemsByType.issues', 'an object'),
  (6, '{"issues": [1]}', 'itemsByType.issues', 'an array'),
  (7, '[1]', 'itemsByType', 'an array instead of the whole'),
  (8, '{"": 1}', 'itemsByType.', 'a type without a name'),
  (9, jsonb_build_object(repeat('x', 100), 1), 'taken', 'a name of 100 characters'),
  (10, jsonb_build_object(repeat('x', 101), 1), 'itemsByType.' || repeat('x', 100), 'a name of 101 characters'))
  AS c (number, counts, outcome, words)
ORDER BY c.number;
SELECT is(pg_temp.at_fault(jsonb_build_object('itemsByType', jsonb_object_agg('t' || n, 1))), 'taken', '200 types')
FROM generate_series(1, 200) AS n;
SELECT is(pg_temp.at_fault(jsonb_build_object('itemsByType', jsonb_object_agg('t' || n, 1))), 'itemsByType',
  '201 types')
FROM generate_series(1, 201) AS n;
SELECT is(pg_temp.at_fault(jsonb_build_object('itemsByType', jsonb_object_agg('t' || n, n - 2))),
  'itemsByType itemsByType.t1',
  '201 types of which one has a bad count: both are told') FROM generate_series(1, 201) AS n;

SELECT * FROM finish();
ROLLBACK;
