-- The answer to a duplicate has the seq of the first time; a restarted crawler that repeats its start gets the present
-- resume point.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(7);

DO $$
BEGIN
  PERFORM tallymark.create_job('job');
  PERFORM tallymark.merge_progress('job', '{"status": "paused", "timestamp": "2025-01-06T09:59:00Z"}');
  PERFORM tallymark.merge_progress('job', '{"status": "started", "timestamp": "2025-01-06T10:00:00Z"}');
  PERFORM tallymark.merge_progress('job', '{"status": "processing", "timestamp": "2025-01-06T10:01:00Z",
    "lastProcessedId": "17", "progress": {"page": 4}, "itemsByType": {"issues": 3}, "processedItems": 3}');
END
$$;
CREATE TEMPORARY TABLE ack AS
SELECT tallymark.merge_progress('job', '{"status": "started", "timestamp": "2025-01-06T10:00:00Z"}') AS it;
SELECT is(it -> 'seq', '2', 'the number it got the first time') FROM ack;
SELECT is(it -> 'duplicate', 'true', 'a duplicate') FROM ack;
SELECT is(it -> 'resume', '{"lastProcessedId": "17", "resumeState": {"page": 4}, "itemsByType": {"issues": 3},
  "processedItems": 3}', 'with what was reached since') FROM ack;
SELECT is(it -> 'newestTimestamp', '"2025-01-06T10:01:00.000000Z"', 'the time of the newest update of now') FROM ack;
SELECT is(it -> 'worker', '{"processedItems": 3, "itemsByType": {}}', 'and the worker''s totals of now') FROM ack;
SELECT is(tallymark.merge_progress('job', '{"status": "paused", "timestamp": "2025-01-06T09:59:00Z"}') ? 'resume',
  false,
  'which is for a start only');
SELECT is(tallymark.merge_progress('job', '{"status": "paused", "timestamp": "2025-01-06T09:59:00Z"}')
  ?| '{newestTimestamp,worker}', false, 'as are the time and the totals');

SELECT * FROM finish();
ROLLBACK;
