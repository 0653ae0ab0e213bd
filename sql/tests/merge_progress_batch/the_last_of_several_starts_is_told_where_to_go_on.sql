-- What a restarted crawler needs may be large, and a batch may start one job many times: the last of them is told.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(2);

DO $$ BEGIN PERFORM tallymark.create_job('a'), tallymark.create_job('b'); END $$;
CREATE TEMPORARY TABLE ack AS
SELECT r.number, r.result FROM jsonb_array_elements(tallymark.merge_progress_batch('[
  {"taskId": "a", "updateId": "1", "status": "started"}, {"taskId": "b", "updateId": "1", "status": "started"},
  {"taskId": "a", "updateId": "2", "status": "Started", "lastProcessedId": "x"}, {"taskId": "a", "updateId": "3"},
  {"taskId": "a", "updateId": "1", "status": "started"}]')) WITH ORDINALITY AS r (result, number);
SELECT is(string_agg(number::text, ' ' ORDER BY number) FILTER (WHERE result ? 'resume'), '2 5', 'one of each job')
FROM ack;
SELECT is(result #>> '{resume,lastProcessedId}', 'x', 'by the state after the batch') FROM ack WHERE number = 5;

SELECT * FROM finish();
ROLLBACK;
