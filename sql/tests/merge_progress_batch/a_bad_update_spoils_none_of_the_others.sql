-- Each update has its result, in its place. Problems are returned there, and all valid updates are merged.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(12);

DO $$ BEGIN PERFORM tallymark.create_job('job'), tallymark.create_job(''';--"\%_'); END $$;
CREATE TEMPORARY TABLE answer AS SELECT a.* FROM jsonb_array_elements(tallymark.merge_progress_batch(jsonb_build_array(
  '{"taskId": "job", "updateId": "a", "processedItems": 5}'::jsonb, NULL, 7, '[]'::jsonb, '{"taskId": "nobody"}'::jsonb,
  '{"taskId": "job", "status": "dancing", "stage": 7}'::jsonb, '{"taskId": "job", "x": [1e131071]}'::jsonb,
  jsonb_build_object('taskId', 'job', 'x', repeat('x', 1048576)), '{"status": "started"}'::jsonb,
  '{"taskId": "'';--\"\\%_", "updateId": "a"}'::jsonb, '{"taskId": "job", "updateId": "a", "processedItems": 5}'::jsonb,
  '{"taskId": "job", "updateId": "b", "status": "started"}'::jsonb))) WITH ORDINALITY AS a (value, number);
SELECT is(jsonb_agg(value -> 'status' ORDER BY number),
  '["received", 400, 400, 400, 404, 400, 400, 413, 400, "received", "received", "received"]',
    'a result for each, in order') FROM answer;
SELECT is(jsonb_agg(value -> 'seq' ORDER BY number), '[1, 1, 1, 2]', 'good ones have the number of their event') FROM
  answer
WHERE value ? 'seq';
SELECT is((SELECT value FROM answer WHERE number = 11), '{"seq": 1, "status": "received", "command": null, "warnings": '
  '[],
    "message": "Progress update acknowledged for task job", "duplicate": true}', 'what comes twice is a duplicate');
SELECT is((SELECT value -> 'resume' FROM answer WHERE number = 12),
  '{"itemsByType": {}, "resumeState": null, "processedItems": 5, "lastProcessedId": null, "doneBeyond": []}',
    'the answer to a start has resume');
SELECT is((SELECT value FROM answer WHERE number = 2),
  '{"status": 400, "error": "Invalid request body", "details": [{"field": "", "problem": "must be a JSON object"}]}',
    'null is not an update');
SELECT is((SELECT value ->> 'error' FROM answer WHERE number = 5), 'Job not found', 'in the words of the protocol');
SELECT is((SELECT jsonb_array_length(value -> 'details') FROM answer WHERE number = 6), 2, 'with every problem');
SELECT ok(bool_and(value ? 'error' AND jsonb_typeof(value -> 'details') = 'array'),
  'all that are refused have error and details') FROM answer
WHERE jsonb_typeof(value -> 'status') = 'number';
SELECT is((SELECT jsonb_object_agg(j.id, j.last_seq) FROM tallymark.job AS j
  WHERE j.id IN ('job', ''';--"\%_')), '{"job": 2, "'';--\"\\%_": 1}',
  'the good ones were merged');
SELECT ok(bool_and(tallymark.verify_job(j.id)), 'the ledgers fold to the states') FROM tallymark.job AS j
WHERE j.id IN ('job', ''';--"\%_');
SELECT is(tallymark.merge_progress_batch('[{"taskId": "nobody"}, null]') #>> '{1,error}', 'Invalid request body',
  'all updates may be invalid');
SELECT is(jsonb_path_query_array(tallymark.merge_progress_batch((SELECT jsonb_agg(jsonb_build_object('taskId', 'job',
  'updateId', 'n' || g.n,
    'x', CASE WHEN g.n % 2 = 0 THEN '1e131071'::jsonb ELSE '1' END)) FROM generate_series(1, 1000) AS g (n))),
      '$[1 to 3].status'),
  '[400, "received", 400]', 'every second one of a thousand');

SELECT * FROM finish();
ROLLBACK;
