-- How many items a job has processed: its processedItems, and where no crawler ever gave that, the sum of its types. The
-- stored field stays absent, and everything that shows how far the job is says the same.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(13);
\ir ../helpers.psql

SELECT is(tallymark.processed_items(c.progress), c.items, c.progress::text)
FROM (VALUES (1, '{"processedItems": 150, "itemsByType": {"a": 9}}'::jsonb, 150::numeric),
  (2, '{"processedItems": 0, "itemsByType": {"a": 9}}', 0), (3, '{"itemsByType": {"a": 9, "b": 1}}', 10),
  (4, '{"itemsByType": {}}', 0), (5, '{}', 0),
  (6, '{"itemsByType": {"a": 9007199254740991, "b": 9007199254740991}}', 18014398509481982)) AS c (number, progress, items)
ORDER BY c.number;

DO $$
BEGIN
  PERFORM tallymark.create_job('processed items');
  PERFORM tallymark.merge_progress('processed items', '{"status": "started", "totalItems": 300}');
  PERFORM tallymark.merge_progress('processed items', '{"itemsByType": {"issues": 100}, "updateId": "1"}');
  PERFORM tallymark.merge_progress('processed items', '{"itemsByType": {"issues": 50}, "updateId": "2"}');
END
$$;
SELECT ok(tallymark.get_job('processed items') @> '{"percentage": 50, "summary": "150/300 issues (50%)"}', 'a running job');
SELECT is(tallymark.job_rate('processed items') -> 'itemsLeft', '150', 'what is left of it');
SELECT is(tallymark.job_row(pg_temp.row_of('processed items')) ->> 'summary', '150/300 issues (50%)',
  'its line in the overview');
DO $$
BEGIN
  PERFORM tallymark.merge_progress('processed items', '{"status": "completed", "itemsByType": {"notes": 150}, "updateId": "3"}');
END
$$;
SELECT is(tallymark.get_job('processed items') -> 'percentage', '100.0', 'when it is finished, all is done');
SELECT is(details ->> 'summary', '300/300 items (100%)', 'the summary of its completion')
FROM tallymark.timeline('processed items', 3);
SELECT is(tallymark.get_job('processed items') -> 'progress' ? 'processedItems', false, 'the field stays absent');
SELECT is((SELECT d.items FROM tallymark.jobs_per_day(1, 'processed items') AS d), 300::numeric, 'the items of the day');

SELECT * FROM finish();
ROLLBACK;
