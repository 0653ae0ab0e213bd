-- A job that has finished is short of what is left, type by type. One that goes on, or ended otherwise, may still do it.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(9);

SELECT is(tallymark.progress_shortfall(c.status, '{"itemsByType": {"a": 3, "b": 5}, "totalsByType": {"a": 10, "b": 5, "c": 1}}'),
  CASE c.status WHEN 'finished' THEN '{"a": 7, "c": 1}'::jsonb END, c.status)
FROM unnest('{finished,failed,cancelled,running,paused}'::text[]) AS c (status);
SELECT is(tallymark.progress_shortfall('finished', '{"itemsByType": {"a": 10}, "totalsByType": {"a": 10}}'), NULL, 'all done');
SELECT is(tallymark.progress_shortfall('finished', '{"itemsByType": {"a": 10}, "failedByType": {"a": 1}}'), NULL, 'no total');

DO $$
BEGIN
  PERFORM tallymark.create_job('short');
  PERFORM tallymark.merge_progress('short', '{"status": "started", "timestamp": "2025-01-06T10:00:00Z",
    "totalsByType": {"issues": 10}, "itemsByType": {"issues": 3}}');
END
$$;
SELECT is(tallymark.merge_progress('short', '{"status": "completed", "timestamp": "2025-01-06T10:01:00Z"}') -> 'shortfall',
  '{"issues": 7}', 'the crawler that ends is told');
DO $$ BEGIN
  PERFORM tallymark.merge_progress('short', '{"timestamp": "2025-01-06T10:00:30Z", "skippedByType": {"issues": 7}}');
END $$;
SELECT is(tallymark.get_job('short') - '{createdAt,updatedAt,progress}'::text[] @> '{"status": "finished", "shortfall": null,
  "percentage": 100}', true, 'a late report closes the gap');

SELECT * FROM finish();
ROLLBACK;
