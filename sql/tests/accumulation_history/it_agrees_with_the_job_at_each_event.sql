-- The history shows what each event gave and the value after it, equal to the job read as it was after that event. This
-- holds for several workers, increments and totals, late updates and duplicates.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(14);

DO $$
BEGIN
  PERFORM tallymark.create_job('history');
  PERFORM tallymark.merge_progress('history', u) FROM jsonb_array_elements('[
    {"timestamp": "2025-01-06T10:00:00Z", "status": "started", "totalItems": 100, "stage": "a"},
    {"timestamp": "2025-01-06T10:05:00Z", "processedItems": 10, "workerId": "w1", "itemsByType": {"x": 4},
      "stage": "b"},
    {"timestamp": "2025-01-06T10:02:00Z", "processedItems": 20, "workerId": "w2", "stage": "late", "error": "e"},
    {"timestamp": "2025-01-06T10:06:00Z", "counting": "cumulative", "itemsByType": {"x": 9}, "progress": {"page": 2},
      "timeline": [{"timestamp": "2025-01-06T10:06:00Z", "event": "own", "details": {"stage": "z"}}]},
    {"timestamp": "2025-01-06T10:07:00Z", "counting": "cumulative", "itemsByType": {"x": 7}, "workerId": "w2"},
    {"timestamp": "2025-01-06T10:03:00Z", "processedItems": 5, "workerId": "w1", "itemsByType": {"x": 1}},
    {"timestamp": "2025-01-06T10:07:30Z", "message": "nothing counted"},
    {"timestamp": "2025-01-06T10:08:00Z", "status": "completed", "processedItems": 60, "workerId": "w2"},
    {"timestamp": "2025-01-06T10:08:00Z", "status": "processing"}]') AS u;
END
$$;
-- The value at each event by the history is that of the newest row so far.
CREATE FUNCTION pg_temp.by_history(field text) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
  RETURN (
  SELECT jsonb_agg((SELECT h.value FROM tallymark.accumulation_history('history', field) AS h WHERE h.seq <= e.seq
    ORDER BY h.seq DESC LIMIT 1) ORDER BY e.seq)
  FROM tallymark.job_event AS e WHERE e.job_id = 'history');
END
$$;
CREATE FUNCTION pg_temp.by_job_at(path text[]) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
  RETURN (
  SELECT jsonb_agg(nullif(tallymark.job_at('history', e.seq) #> path, 'null') ORDER BY e.seq)
  FROM tallymark.job_event AS e WHERE e.job_id = 'history');
END
$$;

SELECT is(pg_temp.by_history(c.field), pg_temp.by_job_at(c.path::text[]), c.field)
FROM (VALUES (1, 'processedItems', '{progress,processedItems}'), (2, 'itemsByType.x', '{progress,itemsByType,x}'),
  (3, 'itemsByType', '{progress,itemsByType}'), (4, 'stage', '{progress,stage}'), (5, 'error', '{progress,error}'),
  (6, 'totalItems', '{progress,totalItems}'), (7, 'resumeState', '{resumeState}'), (8, 'percentage', '{percentage}'),
  (9, 'finishedAt', '{finishedAt}')) AS c (number, field, path)
ORDER BY c.number;
SELECT is((SELECT jsonb_agg(h.value ORDER BY h.seq) FROM tallymark.accumulation_history('history', 'status') AS h),
  '["running", "finished", "finished"]',
  'status: at the same time an end wins');
SELECT is((SELECT jsonb_agg(jsonb_build_array(h.seq, h.given, h.value) ORDER BY h.seq)
  FROM tallymark.accumulation_history('history', 'processedItems') AS h),
  '[[2, 10, 10], [3, 20, 30], [7, 5, 30], [9, 60, 70]]', 'each row has the given and the resulting value');
SELECT is((SELECT jsonb_agg(jsonb_build_array(h.seq, h.given, h.value) ORDER BY h.seq)
  FROM tallymark.accumulation_history('history', 'resumeState') AS h),
  '[[4, {"page": 2}, {"page": 2}], [9, null, null]]', 'a field that changed without being given has a row, too');
SELECT throws_ok($$ SELECT * FROM tallymark.accumulation_history('nobody', 'x') $$, 'TK404', NULL,
  'an unknown job is refused');
SELECT throws_ok($$ SELECT * FROM tallymark.accumulation_history('history', NULL) $$, 'TK400', 'Invalid query',
  'a null field is refused');

SELECT * FROM finish();
ROLLBACK;
