-- The answer to a status that ends the job has all that the job has counted, so that its sender need not read the job.
-- Of several ends of a job in a batch, only the last answer has them, because they may be large.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(6);

DO $$
BEGIN
  PERFORM tallymark.create_job(id) FROM unnest('{job,bare,batch}'::text[]) AS id;
  PERFORM tallymark.merge_progress('job', '{"updateId": "1", "totalItems": 9, "itemsByType": {"issues": 250}}');
END
$$;
SELECT is(tallymark.merge_progress('job', '{"updateId": "2", "status": "Completed", "itemsByType": {"issues": 50}}')
  -> 'finalCounts', '{"processedItems": null, "totalItems": 9, "itemsByType": {"issues": 300}}', 'with its own counts');
SELECT is(tallymark.merge_progress('job', '{"updateId": "2", "status": "Completed", "itemsByType": {"issues": 50}}')
  -> 'finalCounts' -> 'itemsByType', '{"issues": 300}', 'a duplicate, too');
SELECT is(tallymark.merge_progress('bare', '{"status": "failed"}') -> 'finalCounts',
  '{"processedItems": null, "totalItems": null, "itemsByType": {}}', 'a job that has counted nothing');
SELECT is(tallymark.merge_progress('job', c.payload) ? 'finalCounts', false, c.payload ->> 'status')
FROM (VALUES ('{"status": "started"}'::jsonb), ('{"status": "paused"}')) AS c (payload);
SELECT is(jsonb_path_query_array(tallymark.merge_progress_batch('[
  {"taskId": "batch", "updateId": "1", "status": "completed", "itemsByType": {"a": 1}},
  {"taskId": "batch", "updateId": "2", "status": "started"},
  {"taskId": "batch", "updateId": "3", "status": "failed", "itemsByType": {"a": 2}}]'),
  '$[*] ? (exists(@.finalCounts) || exists(@.resume)).seq'), '[2, 3]', 'the last start and the last end of a batch');

SELECT * FROM finish();
ROLLBACK;
