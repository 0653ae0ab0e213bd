-- Fields have the names under which a job is read: members of progress, item types, and what stands beside progress.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(15);
\ir ../helpers.psql

DO $$
BEGIN
  PERFORM tallymark.create_job('fields');
  PERFORM tallymark.merge_progress('fields',
    '{"timestamp": "2025-01-06T10:00:00Z", "totalItems": 10, "processedItems": 5,
    "itemsByType": {"a.b": 3}, "own.field": {"x": 1}, "progress": {"page": 1}, "failedByType": {"a.b": 2}, "totalsByType": {"a.b": 9}}');
END
$$;
SELECT is(tallymark.field_value(pg_temp.row_of('fields'), c.field), c.value, c.field)
FROM (VALUES (1, 'processedItems', '5'::jsonb), (2, 'itemsByType', '{"a.b": 3}'), (3, 'itemsByType.a.b', '3'),
  (4, 'itemsByType.x', NULL), (5, 'own.field', '{"x": 1}'), (6, 'status', '"running"'), (7, 'resumeState',
    '{"page": 1}'),
  (8, 'percentage', '50.0'), (9, 'startedAt', '"2025-01-06T10:00:00.000Z"'), (10, 'finishedAt', NULL),
  (11, 'nothing', NULL), (12, 'failedByType.a.b', '2'), (13, 'totalsByType.a.b', '9'), (14, 'shortfall', NULL),
  (15, 'books', '{"a.b": {"total": 9, "done": 3, "failed": 2, "skipped": 0, "left": 4, "over": 0}}')) AS c (number, field, value)
ORDER BY c.number;

SELECT * FROM finish();
ROLLBACK;
