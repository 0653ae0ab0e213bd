-- The percentage is unknown while the total is, and never over 100, although the total may be an estimate.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(20);

SELECT is(tallymark.progress_percentage(c.progress), c.percentage, c.progress::text)
FROM (VALUES (1, '{"processedItems": 150, "totalItems": 500}'::jsonb, 30.0), (2,
  '{"processedItems": 1, "totalItems": 3}', 33.3),
  (3, '{"processedItems": 2, "totalItems": 3}', 66.6), (4, '{"processedItems": 600, "totalItems": 500}', 100),
  (5, '{"processedItems": 0, "totalItems": 500}', 0), (6, '{"totalItems": 500}', 0), (7, '{"processedItems": 150}',
    NULL),
  (8, '{"processedItems": 0, "totalItems": 0}', NULL), (9, '{}', NULL),
  (10, '{"processedItems": 9007199254740991, "totalItems": 9007199254740991}', 100),
  (11, '{"itemsByType": {"issues": 200, "notes": 100}, "totalItems": 600}', 50),
  (12, '{"itemsByType": {"issues": 600}, "totalItems": 600}', 100),
  (13, '{"processedItems": 0, "itemsByType": {"issues": 600}, "totalItems": 600}', 0),
  -- Where totalItems was never given, the books: all that is not left any more.
  (14, '{"itemsByType": {"a": 5, "b": 1}, "totalsByType": {"a": 10, "b": 2}}', 50),
  (15, '{"itemsByType": {"a": 5}, "totalsByType": {"a": 10}, "failedByType": {"a": 2}, "skippedByType": {"a": 1}}', 80),
  (16, '{"itemsByType": {"a": 12, "b": 1}, "foundByType": {"a": 10, "b": 2}}', 91.6),
  (17, '{"itemsByType": {"a": 5, "b": 1}, "totalsByType": {"a": 10}}', NULL),
  (18, '{"itemsByType": {"a": 5}, "totalsByType": {"a": 10}, "totalItems": 20}', 25),
  (19, '{"processedItems": 3, "itemsByType": {"a": 5}, "totalsByType": {"a": 10}}', 50),
  (20, '{"totalsByType": {"a": 0}}', NULL)) AS c (number, progress, percentage)
ORDER BY c.number;

SELECT * FROM finish();
ROLLBACK;
