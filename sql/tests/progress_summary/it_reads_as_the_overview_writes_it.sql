-- The summary says how many of how many items of which type, as far as that is known.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(25);

SELECT is(tallymark.progress_summary(c.progress), c.summary, c.summary)
FROM (VALUES (1, '{"processedItems": 150, "totalItems": 500, "currentDataType": "issues"}'::jsonb,
  '150/500 issues (30%)'),
  (2, '{"processedItems": 150, "currentDataType": "issues"}', '150 issues'), (3, '{"processedItems": 150}',
    '150 items'),
  (4, '{"totalItems": 500}', '0/500 items (0%)'), (5, '{}', '0 items'), (6, '{"totalItems": 0}', '0/0 items'),
  (7, '{"processedItems": 1, "totalItems": 3, "currentDataType": ""}', '1/3 items (33%)'),
  (8, '{"processedItems": 700, "totalItems": 500}', '700/500 items (100%)'),
  (9, '{"processedItems": 2, "totalItems": 3}', '2/3 items (66%)'),
  -- Where no crawler gave processedItems, what is counted by type.
  (10, '{"itemsByType": {"issues": 200, "notes": 100}, "totalItems": 600}', '300/600 items (50%)'),
  (11, '{"itemsByType": {"issues": 200, "notes": 0}, "currentDataType": "notes"}', '200 issues'),
  (12, '{"itemsByType": {"issues": 200, "notes": 100}, "currentDataType": "notes"}', '300 items'),
  (13, '{"itemsByType": {}, "totalItems": 600, "currentDataType": "notes"}', '0/600 notes (0%)'),
  (14, '{"processedItems": 0, "itemsByType": {"issues": 200}}', '0 issues'),
  (15, '{"processedItems": 150, "itemsByType": {"issues": 100, "notes": 50}, "totalItems": 500,
    "currentDataType": "notes"}', '150/500 items (30%)'),
  (16, '{"processedItems": 1}', '1 item'), (17, '{"totalItems": 1}', '0/1 item (0%)'),
  (18, '{"itemsByType": {"a.b \"c\"": 3}}', '3 a.b "c"'),
  -- The books say how many there are, and of which types.
  (19, '{"itemsByType": {"issues": 5}, "totalsByType": {"issues": 10}}', '5/10 issues (50%)'),
  (20, '{"itemsByType": {"issues": 5}, "totalsByType": {"issues": 10, "notes": 30}, "currentDataType": "notes"}',
    '5/40 items (12%)'),
  (21, '{"itemsByType": {"issues": 5}, "foundByType": {"notes": 30}}', '5 items'),
  (22, '{"totalsByType": {"issues": 10}, "failedByType": {"issues": 2}}', '2/10 issues (20%)'),
  (23, '{"itemsByType": {"issues": 5}, "failedByType": {"issues": 2}}', '5 issues'),
  (24, '{"processedItems": 7, "totalItems": 8, "totalsByType": {"issues": 10}}', '7/8 issues (87%)')) AS c (number, progress, summary)
ORDER BY c.number;
DO $$
BEGIN
  PERFORM tallymark.create_job('job');
  PERFORM tallymark.merge_progress('job', '{"processedItems": 150.0, "totalItems": 500.0}');
END
$$;
SELECT is(tallymark.get_job('job') ->> 'summary', '150/500 items (30%)',
  'whole numbers that came with a fraction of nought, too');

SELECT * FROM finish();
ROLLBACK;
