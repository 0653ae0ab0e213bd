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
SELECT is(it -> 'seq', '2', 'it has the seq of the first time') FROM ack;
SELECT is(it -> 'duplicate', 'true', 'it is a duplicate') FROM ack;
SELECT is(it -> 'resume', '{"lastProcessedId": "17", "resumeState": {"page": 4}, "itemsByType": {"issues": 3},
  "processedItems": 3, "doneBeyond": []}', 'resume has what was reached since') FROM ack;
SELECT is(it -> 'newestTimestamp', '"2025-01-06T10:01:00.000000Z"', 'newestTimestamp is the present one') FROM ack;
SELECT is(it -> 'worker', '{"processedItems": 3, "itemsByType": {}}', 'worker has the present totals') FROM ack;
SELECT is(tallymark.merge_progress('job', '{"status": "paused", "timestamp": "2025-01-06T09:59:00Z"}') ? 'resume',
  false,
  'resume is only in the answer to a start');
SELECT is(tallymark.merge_progress('job', '{"status": "paused", "timestamp": "2025-01-06T09:59:00Z"}')
  ?| '{newestTimestamp,worker}', false, 'and so are newestTimestamp and worker');

SELECT * FROM finish();
ROLLBACK;
