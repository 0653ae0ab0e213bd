-- Of each type: how many there are, what became of them, and how many are left. What is not known is null, and not 0.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(12);

SELECT is(tallymark.progress_books(c.progress), c.books, c.words)
FROM (VALUES
  (1, '{"itemsByType": {"a": 3}, "totalsByType": {"a": 10}, "failedByType": {"a": 2}, "skippedByType": {"a": 1}}'::jsonb,
    '{"a": {"total": 10, "done": 3, "failed": 2, "skipped": 1, "left": 4, "over": 0}}'::jsonb, 'what is left'),
  (2, '{"itemsByType": {"a": 3}, "foundByType": {"a": 10}}',
    '{"a": {"total": 10, "done": 3, "failed": 0, "skipped": 0, "left": 7, "over": 0}}', 'what was found is the total'),
  (3, '{"foundByType": {"a": 10}, "totalsByType": {"a": 12}}',
    '{"a": {"total": 12, "done": 0, "failed": 0, "skipped": 0, "left": 12, "over": 0}}', 'unless the total is given'),
  (4, '{"itemsByType": {"a": 9}, "failedByType": {"a": 2}, "totalsByType": {"a": 10}}',
    '{"a": {"total": 10, "done": 9, "failed": 2, "skipped": 0, "left": 0, "over": 1}}', 'never less than nothing: over'),
  (5, '{"itemsByType": {"a": 9, "b": 1}, "totalsByType": {"a": 10}}',
    '{"a": {"total": 10, "done": 9, "failed": 0, "skipped": 0, "left": 1, "over": 0},
      "b": {"total": null, "done": 1, "failed": 0, "skipped": 0, "left": null, "over": null}}', 'a type without a total'),
  (6, '{"failedByType": {"a": 9}}', '{"a": {"total": null, "done": 0, "failed": 9, "skipped": 0, "left": null, "over": null}}',
    'no total at all'),
  (7, '{"itemsByType": {"a": 9}, "totalItems": 10}', NULL, 'nothing to balance'),
  (8, '{}', NULL, 'nothing at all'), (9, NULL, NULL, 'null'),
  (10, '{"foundByType": {}, "totalsByType": {}}', NULL, 'no types'),
  (11, '{"itemsByType": {"": 5}, "foundByType": {"": 7}, "totalsByType": {}}',
    '{"": {"total": null, "done": 5, "failed": 0, "skipped": 0, "left": null, "over": null}}',
    'the types that have no room have no total'),
  (12, '{"itemsByType": "x", "foundByType": {"a": "y"}, "totalsByType": {"a": 1}}',
    '{"a": {"total": 1, "done": 0, "failed": 0, "skipped": 0, "left": 1, "over": 0}}',
    'what somebody wrote there by hand is no error')) AS c (number, progress, books, words)
ORDER BY c.number;

SELECT * FROM finish();
ROLLBACK;
