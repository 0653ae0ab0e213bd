-- The answer has status and message exactly as the original, and the new members.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(8);

DO $$ BEGIN PERFORM tallymark.create_job('job 1'); END $$;
CREATE TEMPORARY TABLE ack AS
SELECT tallymark.merge_progress('job 1', '{"status": "processing", "timestamp": "2025-01-06T10:00:00Z"}') AS it;
SELECT is(it - 'command', '{"status": "received", "message": "Progress update acknowledged for task job 1", "seq": 1,
  "duplicate": false, "warnings": []}', 'an ordinary update') FROM ack;
SELECT is(it ->> 'command', NULL, 'command is null while none is pending') FROM ack;
SELECT is(tallymark.merge_progress('job 1', '{"status": "Started", "timestamp": "2025-01-06T10:01:00Z"}') -> 'resume',
  '{"lastProcessedId": null, "resumeState": null, "itemsByType": {}, "processedItems": 0,
  "doneBeyond": []}',
  'the answer to a start, in any letter case, has resume, also where nothing was done yet');
UPDATE tallymark.job SET requested_command = 'pause' WHERE id = 'job 1';
SELECT is(tallymark.merge_progress('job 1', '{"status": "processing", "timestamp": "2025-01-06T10:02:00Z"}') ->>
  'command',
  'pause', 'a pending command is in the answer');
SELECT is(tallymark.merge_progress('job 1', '{"status": "processing", "timestamp": "2025-01-06T10:02:00Z"}') ->>
  'command',
  'pause', 'and in the answer to a duplicate');
SELECT is(tallymark.merge_progress('job 1',
  '{"status": "started", "timestamp": "2025-01-06T10:03:00Z", "processedItems": 8,
  "lastProcessedId": "x", "progress": [1], "itemsByType": {"commits": 2}}') -> 'resume',
  '{"lastProcessedId": "x", "resumeState": [1], "itemsByType": {"commits": 2}, "processedItems": 8,
  "doneBeyond": []}', 'what the start itself gives is included in resume');
SELECT is(tallymark.merge_progress('job 1', '{"status": "completed", "timestamp": "2025-01-06T10:04:00Z"}') ? 'resume',
  false,
  'answers to other updates have no resume');
SELECT is(tallymark.merge_progress('job 1', '{"processedItems": 1}') ->> 'message',
  'Progress update acknowledged for task job 1', 'an update without status and time is answered in the same words');

SELECT * FROM finish();
ROLLBACK;
