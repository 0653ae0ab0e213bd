-- The problems of an update in a batch are returned, not raised, so that the other updates are not affected.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(26);

CREATE FUNCTION pg_temp.judged(payload jsonb, prefix text DEFAULT '', required text[] DEFAULT '{taskId}')
RETURNS tallymark.batch_update LANGUAGE sql AS $$ SELECT tallymark.judge_update(3, $1, $3, $2) $$;
SELECT is(to_jsonb(pg_temp.judged('{"taskId": "job", "updateId": "u", "timestamp": "2025-01-06T10:00:00Z", "stage": '
  '"s"}')),
  '{"number": 3, "job_id": "job", "key": "=u", "warnings": [], "refusal": null, "seq": null,
    "payload": {"taskId": "job", "updateId": "u", "timestamp": "2025-01-06T10:00:00Z", "stage": "s"}}'::jsonb
    || jsonb_build_object('at', '2025-01-06T10:00:00Z'::timestamptz),
      'a valid update');
SELECT is((pg_temp.judged('{"taskId": "job", "processed": 3, "x": null, "updateId": "u"}')).payload,
  '{"taskId": "job", "processedItems": 3, "updateId": "u"}', 'in the form that is merged');
SELECT is((pg_temp.judged('{"taskId": "job"}')).at, NULL, 'an update without a timestamp has no time yet');
SELECT matches((pg_temp.judged('{"taskId": "job"}')).key, '^~', 'and a random key');
SELECT is((pg_temp.judged('{"taskId": "job", "timestamp": "2025-01-06T10:00:00Z", "x": null}')).key,
  tallymark.update_key('{"timestamp": ""}', '{"x": null, "taskId": "job", "timestamp": "2025-01-06T10:00:00Z"}'),
  'the digest is that of the update as it came, as in merge_progress');
SELECT is(jsonb_array_length((pg_temp.judged(jsonb_build_object('taskId', 'job', 'message', repeat('x',
  2000)))).warnings), 1,
  'cutting gives a warning');
SELECT is((pg_temp.judged(c.payload, c.prefix, c.required::text[])).refusal -> 'status', to_jsonb(c.status), c.status ||
  ': ' || c.why)
FROM (VALUES
  (1, NULL::jsonb, '', '{taskId}', 400, 'nothing at all'), (2, 'null', '', '{taskId}', 400, 'null'),
  (3, '[]', '', '{taskId}', 400, 'an array'), (4, '["taskId"]', '', '{taskId}', 400,
    'an array with the name of a member'),
  (5, '"taskId"', '', '{taskId}', 400, 'a string that is one'), (6, '7', '', '{taskId}', 400, 'a number'),
  (7, '{}', '', '{taskId}', 400, 'no taskId'), (8, '{"taskId": null}', '', '{taskId}', 400, 'a null for it'),
  (9, '{"taskId": 7}', '', '{taskId}', 400, 'a number for it'), (10, '{"taskId": ["job"]}', '', '{taskId}', 400,
    'an array for it'),
  (11, '{"taskId": "job", "timestamp": "2025-02-30T00:00:00Z"}', '', '{taskId}', 400, 'a day that does not exist'),
  (12, '{"taskId": "job", "itemsByType": {"a": 1e131071}}', '', '{taskId}', 400, 'a huge number'),
  (13, '{"taskId": "job", "x": [[{"y": -1e131071}]]}', '', '{taskId}', 400, 'deep inside'),
  (14, '{"taskId": "job"}', '', '{taskId,status,timestamp}', 400, 'over HTTP a status and a time are required'),
  (15, '{"taskId": "job"}', 'job_', '{taskId}', 403, 'not the caller''s job'), (16, '{"taskId": "jobs"}', 'job_',
    '{taskId}', 403,
    'a prefix is no pattern'),
  (17, jsonb_build_object('taskId', 'job', 'x', repeat('x', 1048576)), '', '{taskId}', 413, 'too large')) AS c
  (number, payload, prefix, required, status, why) ORDER BY c.number;
SELECT is((pg_temp.judged('{"taskId": "job", "status": "dancing", "stage": 7}')).refusal,
  '{"status": 400, "error": "Invalid status: dancing", "details": [
    {"field": "stage", "problem": "must be a string of at most 100 characters"},
    {"field": "status", "problem": "must be started, processing, waiting, completed, failed, paused, cancelled, new_areas_discovered, credential_expiry, credential_renewal or credential_resumed"}]}', 'with every problem at once');
SELECT is((pg_temp.judged('7')).refusal ->> 'error', 'Invalid request body', 'what is no object is answered as alone');
SELECT is((pg_temp.judged('7')).refusal -> 'details', '[{"field": "", "problem": "must be a JSON object"}]',
  'and says why');

SELECT * FROM finish();
ROLLBACK;
