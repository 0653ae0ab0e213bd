-- Compared with the jobs, each update of a batch is new, a duplicate or refused. New ones are numbered without gaps,
-- with their own events. Updates without a time count in the order of the batch.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(9);
\ir ../helpers.psql

DO $$
BEGIN
  PERFORM tallymark.create_job('job'), tallymark.create_job('counted', '{"counting": "cumulative"}');
  PERFORM tallymark.merge_progress('job', '{"updateId": "known", "timestamp": "2025-01-06T10:00:00Z"}');
END
$$;
CREATE TEMPORARY TABLE placed AS
SELECT p.* FROM unnest(tallymark.place_batch(tallymark.judge_batch('[
  {"taskId": "job", "updateId": "a", "timestamp": "2025-01-06T10:00:00Z", "timeline": [
    {"event": "x", "timestamp": "2025-01-06"}, {"event": "y", "timestamp": "2025-01-06"}]},
  {"taskId": "job", "updateId": "known"}, {"taskId": "unknown", "updateId": "a"}, {"taskId": "counted", "updateId":
    "a"},
  {"taskId": "job", "updateId": "a", "stage": "other"}, {"taskId": "job", "stage": 7, "updateId": "b"},
  {"taskId": "job", "updateId": "b", "timestamp": "2099-01-01T00:00:00Z", "counting": "increment"}, {"taskId": "job"},
    {"taskId": "job"},
  {"taskId": "counted", "counting": "increment"}, {"taskId": "", "timestamp": "2025-01-06T10:00:00Z"}]', '{taskId}',
    ''),
  ARRAY[pg_temp.row_of('job'), pg_temp.row_of('counted')], '2026-01-06T10:00:00Z')) AS p;
SELECT is(array_agg(seq ORDER BY number), ARRAY[2, NULL, NULL, 1, NULL, NULL, 5, 6, 7, 2, NULL]::bigint[],
  'new updates have a number, others have none')
FROM placed;
SELECT is(array_agg((refusal ->> 'status')::integer ORDER BY number),
  ARRAY[NULL, NULL, 404, NULL, NULL, 400, NULL, NULL, NULL, NULL, 400],
  'unknown jobs are refused') FROM placed;
SELECT is(array_agg(number ORDER BY number), '{1,2,3,4,5,6,7,8,9,10,11}', 'in the order of the batch') FROM placed;
SELECT cmp_ok(max(at), '<=', '2026-01-06T10:00:00Z'::timestamptz, 'none is later than now') FROM placed;
SELECT is((SELECT at FROM placed WHERE number = 1), '2025-01-06T10:00:00Z', 'what has a time keeps it');
SELECT is(array_agg(number ORDER BY at, number), '{2,3,4,5,6,7,8,9,10}',
  'updates without a time, or ahead, count as of now, in order')
FROM placed WHERE number BETWEEN 2 AND 10;
SELECT is(array_agg(jsonb_array_length(warnings) ORDER BY number), '{0,0,0,0,0,0,1,0,0,0,0}',
  'a clock that is ahead gives a warning') FROM placed
WHERE warnings IS NOT NULL;
SELECT is(array_agg(payload ->> 'counting' ORDER BY number), '{cumulative,increment}',
  'the job''s counting is the default')
FROM placed WHERE job_id = 'counted';
SELECT is(tallymark.place_batch('{}', '{}', now()), '{}'::tallymark.batch_update[], 'no updates give an empty array');

SELECT * FROM finish();
ROLLBACK;
