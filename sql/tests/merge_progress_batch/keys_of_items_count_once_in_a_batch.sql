-- A batch counts keys as its updates would one by one: the first update of a key counts it. Each answer says how many of
-- its keys were new.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(9);

DO $$
BEGIN
  PERFORM tallymark.create_job(id) FROM unnest('{job,other,alone}'::text[]) AS j (id);
  PERFORM tallymark.merge_progress(id, '{"updateId": "0", "itemKeys": {"pages": ["a"]}}')
  FROM unnest('{job,alone}'::text[]) AS j (id);
END
$$;
CREATE TEMPORARY TABLE batch AS SELECT '[
  {"taskId": "job", "updateId": "1", "status": "processing", "itemKeys": {"pages": ["a", "b"]}},
  {"taskId": "other", "updateId": "1", "status": "processing", "itemKeys": {"pages": ["b"]}},
  {"taskId": "job", "updateId": "2", "status": "processing", "itemKeys": {"pages": ["b", "c"], "x": ["b"]}},
  {"taskId": "job", "updateId": "2", "status": "processing", "itemKeys": {"pages": ["b", "c"], "x": ["b"]}},
  {"taskId": "job", "updateId": "3", "status": "processing", "itemsByType": {"pages": 4}},
  {"taskId": "job", "updateId": "4", "status": "processing", "itemKeys": {"pages": []}},
  {"taskId": "job", "updateId": "0", "status": "processing", "itemKeys": {"pages": ["a"]}},
  {"taskId": "job", "updateId": "5", "status": "completed", "itemKeys": {"pages": ["c", "d"]}}]'::jsonb AS updates;
CREATE TEMPORARY TABLE answers AS
SELECT a.value AS answer, a.number FROM batch, jsonb_array_elements(tallymark.merge_progress_batch(updates))
  WITH ORDINALITY AS a (value, number);

SELECT is((SELECT jsonb_agg(answer -> 'counted' ORDER BY number) FROM answers),
  '[{"pages": 1}, {"pages": 1}, {"x": 1, "pages": 1}, {"x": 1, "pages": 1}, null, null, {"pages": 1}, {"pages": 1}]',
  'how many were new');
SELECT is((SELECT jsonb_agg(answer -> 'seenBefore' ORDER BY number) FROM answers),
  '[{"pages": 1}, {"pages": 0}, {"x": 0, "pages": 1}, {"x": 0, "pages": 1}, null, null, {"pages": 0}, {"pages": 1}]',
  'and how many were not');
SELECT is((SELECT jsonb_agg(answer -> 'duplicate' ORDER BY number) FROM answers WHERE number <> 6),
  '[false, false, false, true, false, true, false]', 'duplicates are known');
SELECT is((SELECT answer -> 'details' -> 0 ->> 'field' FROM answers WHERE number = 6), 'itemKeys.pages',
  'a bad update is refused alone');
SELECT is((SELECT answer -> 'finalCounts' -> 'itemsByType' FROM answers WHERE number = 8), '{"x": 1, "pages": 8}',
  'the final counts have all of them');
DO $$
BEGIN
  PERFORM tallymark.merge_progress('alone', u.value - 'taskId') FROM batch, jsonb_array_elements(updates) AS u
  WHERE u.value ->> 'taskId' = 'job' AND u.value ->> 'updateId' <> '4';
END
$$;
SELECT is(b.progress - 'itemKeys', a.progress, 'one by one comes to the same')
FROM tallymark.job AS a, tallymark.job AS b WHERE a.id = 'alone' AND b.id = 'job';
SELECT results_eq($$SELECT type, key_digest, seq FROM tallymark.job_item WHERE job_id = 'job' ORDER BY 1, 2$$,
  $$SELECT type, key_digest, seq FROM tallymark.job_item WHERE job_id = 'alone' ORDER BY 1, 2$$,
  'each key belongs to the same event');
SELECT results_eq($$SELECT seq, event, details FROM tallymark.job_event WHERE job_id = 'job' ORDER BY 1$$,
  $$SELECT seq, event, details || CASE WHEN event = 'completion' THEN (
      SELECT jsonb_build_object('duration', e.details -> 'duration') FROM tallymark.job_event AS e
      WHERE e.job_id = 'job' AND e.event = 'completion') ELSE '{}' END
    FROM tallymark.job_event WHERE job_id = 'alone' ORDER BY 1$$, 'and each event says the same');
SELECT is_empty($$SELECT * FROM unnest('{job,other,alone}'::text[]) AS j (id), tallymark.verify_differences(j.id)$$,
  'and all verify');

SELECT * FROM finish();
ROLLBACK;
