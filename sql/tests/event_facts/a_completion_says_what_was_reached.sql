-- A completion has the final counts, the duration and a summary.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(8);

DO $$
BEGIN
  PERFORM tallymark.create_job('job');
  PERFORM tallymark.merge_progress('job', '{"status": "started", "timestamp": "2025-01-06T10:00:00Z", "totalItems": 500,
    "currentDataType": "issues"}');
  PERFORM tallymark.merge_progress('job', '{"timestamp": "2025-01-06T10:10:00Z", "processedItems": 100,
    "itemsByType": {"issues": 60}}');
  PERFORM tallymark.merge_progress('job', '{"status": "completed", "timestamp": "2025-01-06T10:30:00.250Z",
    "processedItems": 150, "itemsByType": {"issues": 65}}');
  PERFORM tallymark.create_job('bare');
  PERFORM tallymark.merge_progress('bare', '{"status": "cancelled", "timestamp": "2025-01-06T10:00:00Z"}');
END
$$;
CREATE TEMPORARY TABLE completion AS SELECT event, details FROM tallymark.timeline('job', 2);
SELECT is(event, 'completion', 'a completion') FROM completion;
SELECT is(details -> 'finalCounts', '{"processedItems": 150, "totalItems": 500, "itemsByType": {"issues": 125}}',
  'the counts with its own in them') FROM completion;
SELECT is(details -> 'duration', '1800250', 'milliseconds from the first report to this one') FROM completion;
SELECT is(details -> 'summary', '"150/500 issues (30%)"', 'the summary') FROM completion;
SELECT is(details -> 'itemsByType', '{"issues": 65}', 'what the update itself brought stands beside it')
  FROM completion;
SELECT is((details - 'finalCounts') ->> 'duration', '0', 'a job that was over with its first report took no time')
FROM tallymark.timeline('bare');
SELECT is(details -> 'finalCounts' -> 'itemsByType', '{}', 'and counted nothing') FROM tallymark.timeline('bare');
SELECT is(details ->> 'summary', '0 items', 'in words, too') FROM tallymark.timeline('bare');

SELECT * FROM finish();
ROLLBACK;
