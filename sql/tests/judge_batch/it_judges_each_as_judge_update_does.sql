-- Plain updates are judged together, which is faster, with the same outcome as judge_update, in the order of the batch.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(5);

CREATE TEMPORARY TABLE batch AS SELECT '[{"taskId": "job", "timestamp": "2025-01-06T10:00:00Z"}, 7, null, [], "taskId",
  {"taskId": "a_b", "timestamp": "2025-01-06T10:00:00Z", "status": "processing", "updateId": "u"}, {"taskId": "axb",
    "updateId": "u"},
  {"taskId": 7, "updateId": "u"}, {"taskId": "a_b", "processed": 3, "total": 2, "updateId": "u"}, {"taskId": "",
    "timestamp": "2025-01-06T10:00:00Z"},
  {"taskId": "a_b", "timestamp": "2025-01-06T10:00:00Z", "status": null}, {"taskId": "a_b", "areas": [{}], "updateId":
    "u"},
  {"taskId": "a_b", "areas": [{"fullPath": "g", "type": "G"}], "updateId": "u", "groupCount": 5}]'::jsonb AS updates;
SELECT results_eq(
  format($$ SELECT to_jsonb(j) FROM batch AS b, unnest(tallymark.judge_batch(b.updates, %L, %L)) AS j $$, c.required,
    c.prefix),
  format($$ SELECT to_jsonb(tallymark.judge_update(u.number, u.value, %L, %L))
    FROM batch AS b, jsonb_array_elements(b.updates) WITH ORDINALITY AS u (value, number) ORDER BY u.number $$,
      c.required, c.prefix),
  'requiring ' || c.required || ', for jobs that begin with ' || quote_literal(c.prefix))
FROM (VALUES (1, '{taskId}', ''), (2, '{taskId,status,timestamp}', ''), (3, '{taskId}', 'a_')) AS c (number, required,
  prefix)
ORDER BY c.number;
SELECT results_eq(
  $$ SELECT to_jsonb(j) FROM batch AS b, unnest(tallymark.judge_batch(b.updates || '[{"taskId": "job", "x": 1e131071}]',
    '{taskId}', '')) AS j
    LIMIT 13 $$,
  $$ SELECT to_jsonb(j) FROM batch AS b, unnest(tallymark.judge_batch(b.updates, '{taskId}', '')) AS j $$,
  'a huge number changes nothing for the others');
SELECT is(tallymark.judge_batch('[]', '{taskId}', ''), '{}'::tallymark.batch_update[],
  'no updates give an empty array');

SELECT * FROM finish();
ROLLBACK;
