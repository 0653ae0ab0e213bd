-- At most 200 item types, with names of 1 to 100 characters.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(9);

SELECT is(tallymark.type_names_hold(c.counts), c.hold, c.words)
FROM (VALUES (1, '{"issues": 1}'::jsonb, true, 'a name'), (2, '{}', true, 'none at all'), (3, '{"": 1}', false,
  'an empty name'),
  (4, jsonb_build_object(repeat(U&'\20AC', 100), 1), true, '100 characters of three bytes'),
  (5, jsonb_build_object(repeat('x', 101), 1, 'issues', 1), false, '101 characters'), (6, '[]', false, 'an array'),
  (7, '5', false, 'a number')) AS c (number, counts, hold, words)
ORDER BY c.number;
SELECT is(tallymark.type_names_hold(jsonb_object_agg('t' || n, 1)), true, '200 names') FROM generate_series(1, 200)
  AS n;
SELECT is(tallymark.type_names_hold(jsonb_object_agg('t' || n, 1)), false, '201 names') FROM generate_series(1, 201)
  AS n;

SELECT * FROM finish();
ROLLBACK;
