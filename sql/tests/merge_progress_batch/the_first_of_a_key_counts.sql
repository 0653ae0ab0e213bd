-- An updateId counts once on its job, also within one batch. Later updates with it, whatever their content, are
-- duplicates.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(6);

DO $$
BEGIN
  PERFORM tallymark.create_job('job'), tallymark.create_job('Job'), tallymark.create_job('é'),
    tallymark.create_job('a');
  PERFORM tallymark.merge_progress('job', '{"updateId": "known", "processedItems": 1}');
END
$$;
CREATE TEMPORARY TABLE answer AS SELECT a.* FROM jsonb_array_elements(tallymark.merge_progress_batch('[
  {"taskId": "é", "updateId": "u"}, {"taskId": "job", "updateId": "u", "stage": 7}, {"taskId": "job", "updateId": "u",
    "processedItems": 2},
  {"taskId": "job", "updateId": "u", "processedItems": 9, "message": "other"}, {"taskId": "Job", "updateId": "u"},
  {"taskId": "job", "updateId": "known", "processedItems": 8}, {"taskId": "a", "updateId": "u"}, {"taskId": "job"},
    {"taskId": "job"},
  {"taskId": "job", "timestamp": "2025-01-06T10:00:00Z"}, {"timestamp": "2025-01-06T10:00:00Z", "taskId": "job"}]'))
  WITH ORDINALITY AS a (value, number);
SELECT is(jsonb_agg(value -> 'seq' ORDER BY number), '[1, null, 2, 2, 1, 1, 1, 3, 4, 5, 5]',
  'each has the event of its first') FROM answer;
SELECT is(jsonb_agg(value -> 'duplicate' ORDER BY number),
  '[false, null, false, true, false, true, false, false, false, false, true]',
    'a refused update is not a duplicate, and neither are updates without key and time')
FROM answer;
SELECT is(jsonb_agg(jsonb_array_length(value -> 'warnings') ORDER BY number), '[0, null, 0, 1, 0, 1, 0, 0, 0, 0, 0]',
  'other content is warned of') FROM answer;
SELECT is(progress -> 'processedItems', '2', 'and does not count') FROM tallymark.job WHERE id = 'job';
SELECT ok(bool_and(tallymark.verify_job(j.id)), 'the ledgers fold to the states') FROM tallymark.job AS j
WHERE j.id IN ('job', 'Job', 'é', 'a');
SELECT is((SELECT count(*) FROM tallymark.job_event WHERE job_id IN ('job', 'Job', 'é', 'a')), 8::bigint,
  'no duplicate is in the ledger');

SELECT * FROM finish();
ROLLBACK;
