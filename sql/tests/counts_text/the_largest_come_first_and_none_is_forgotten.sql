-- Counts by type are written the largest first. Those for which there is no room are at least counted.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(6);

SELECT is(tallymark.counts_text('{"issues": 7}'), '7 issues', 'one type');
SELECT is(tallymark.counts_text('{"b": 2, "a": 2, "notes": 10}'), '10 notes, 2 a, 2 b', 'by number and not by text, then by name');
SELECT is(tallymark.counts_text('{"a": 5, "b": 4, "c": 3, "d": 2, "e": 1}'), '5 a, 4 b, 3 c, 2 d, 1 e', 'five types');
SELECT is(tallymark.counts_text('{"a": 6, "b": 5, "c": 4, "d": 3, "e": 2, "f": 1}'),
  '6 a, 5 b, 4 c, 3 d, 2 e and those of 1 more type', 'one more');
SELECT is(tallymark.counts_text('{"a": 6, "b": 5, "c": 4, "d": 3, "e": 2, "f": 1, "g": 1}'),
  '6 a, 5 b, 4 c, 3 d, 2 e and those of 2 more types', 'two more');
SELECT is(tallymark.counts_text('{}'), NULL, 'nothing');

SELECT * FROM finish();
ROLLBACK;
