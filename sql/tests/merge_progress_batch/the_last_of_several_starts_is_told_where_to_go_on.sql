-- The resume point may be large, and a batch may start one job many times: only the last start gets it.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(6);

DO $$ BEGIN PERFORM tallymark.create_job('a'), tallymark.create_job('b'); END $$;
CREATE TEMPORARY TABLE ack AS
SELECT r.number, r.result FROM jsonb_array_elements(tallymark.merge_progress_batch('[
  {"taskId": "a", "updateId": "1", "status": "started"}, {"taskId": "b", "updateId": "1", "status": "started"},
  {"taskId": "a", "updateId": "2", "status": "Started", "lastProcessedId": "x"}, {"taskId": "a", "updateId": "3"},
  {"taskId": "a", "updateId": "1", "status": "started"}]')) WITH ORDINALITY AS r (result, number);
CREATE TEMPORARY TABLE later AS
SELECT r.number, r.result FROM jsonb_array_elements(tallymark.merge_progress_batch('[
  {"taskId": "a", "updateId": "4", "status": "started", "workerId": "v"},
  {"taskId": "a", "updateId": "5", "status": "started", "workerId": "w", "processedItems": 2},
  {"taskId": "a", "updateId": "6", "timestamp": "2025-01-06T10:00:00Z", "workerId": "w", "processedItems": 7},
  {"taskId": "a", "updateId": "7", "timestamp": "2025-01-06T10:01:00Z", "processedItems": 30}]'))
  WITH ORDINALITY AS r (result, number);
SELECT is(string_agg(number::text, ' ' ORDER BY number) FILTER (WHERE result ? 'resume'), '2 5', 'one of each job')
FROM ack;
SELECT is(result #>> '{resume,lastProcessedId}', 'x', 'by the state after the batch') FROM ack WHERE number = 5;
SELECT is(string_agg(number::text, ' ' ORDER BY number) FILTER (WHERE result ?| '{newestTimestamp,worker}'), '2 5',
  'the time and the totals go along with it')
FROM ack;
SELECT is(string_agg(number::text, ' ' ORDER BY number) FILTER (WHERE result ?| '{resume,newestTimestamp,worker}'), '2',
  'whichever worker it is that started last')
FROM later;
SELECT is(result -> 'worker', '{"processedItems": 7, "itemsByType": {}}', 'its totals are those after the batch')
FROM later WHERE number = 2;
SELECT is((l.result ->> 'newestTimestamp')::timestamptz, j.newest_at, 'and so is the time')
FROM later AS l, tallymark.job AS j WHERE l.number = 2 AND j.id = 'a';

SELECT * FROM finish();
ROLLBACK;
