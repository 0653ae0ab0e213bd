-- Of itemsByType each type is taken or named by itself; names that are too long are cut, and their counts added.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(7);

CREATE TEMPORARY TABLE read AS SELECT tallymark.original_counts(jsonb_build_object('a', 1, 'b', ' 2.0 ', 'c', 'x', 'd', -1,
  repeat('n', 100) || '1', 3, repeat('n', 100) || '2', 4)) AS it;
SELECT is(it -> 'taken', jsonb_build_object('a', 1, 'b', 2, repeat('n', 100), 7), 'counts') FROM read;
SELECT is((SELECT array_agg(p ->> 'field') FROM jsonb_array_elements(it -> 'problems') AS p),
  '{progress.itemsByType.c,progress.itemsByType.d}', 'problems') FROM read;
SELECT is(jsonb_array_length(it -> 'mended'), 3, 'what was changed') FROM read;
SELECT is((SELECT count(*) FROM jsonb_object_keys(it -> 'kept')), 4::bigint, 'what is kept') FROM read;
SELECT is(tallymark.original_counts(NULL), '{"taken": {}, "problems": [], "mended": [], "kept": {}}', 'none');
SELECT is(tallymark.original_counts('[1]') -> 'problems' -> 0 ->> 'field', 'progress.itemsByType', 'no object');
SELECT is((SELECT count(*) FROM jsonb_object_keys(tallymark.original_counts((
  SELECT jsonb_object_agg('t' || n, n) FROM generate_series(1, 10001) AS n)) -> 'taken')), 10000::bigint,
  'very many types are not all taken');

SELECT * FROM finish();
ROLLBACK;
