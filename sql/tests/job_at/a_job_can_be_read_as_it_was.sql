-- The ledger gives again what get_job returned after each event, as far as events hold it.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(13);

CREATE TEMPORARY TABLE told (seq bigint, job jsonb);
DO $$
DECLARE
  v_update jsonb;
BEGIN
  PERFORM tallymark.create_job('past', '{"account": 5}');
  FOR v_update IN SELECT jsonb_array_elements('[
    {"timestamp": "2025-01-06T10:00:00Z", "status": "started", "totalItems": 100, "stage": "a"},
    {"timestamp": "2025-01-06T10:05:00Z", "processedItems": 10, "workerId": "w1", "itemsByType": {"x": 4}},
    {"timestamp": "2025-01-06T10:02:00Z", "processedItems": 20, "workerId": "w2", "stage": "late", "error": "e"},
    {"timestamp": "2025-01-06T10:06:00Z", "counting": "cumulative", "itemsByType": {"x": 9}, "progress": {"page": 2},
      "timeline": [{"timestamp": "2025-01-06T10:06:00Z", "event": "own"}]},
    {"timestamp": "2025-01-06T10:07:00Z", "counting": "cumulative", "itemsByType": {"x": 7}, "groupCount": 3},
    {"timestamp": "2025-01-06T10:08:00Z", "status": "completed"}]')
  LOOP
    PERFORM tallymark.merge_progress('past', v_update);
    INSERT INTO told SELECT (j -> 'lastSeq')::bigint, j FROM tallymark.get_job('past') AS j;
  END LOOP;
END
$$;

SELECT is(tallymark.job_at('past', t.seq), t.job - '{createdAt,attributes}'::text[], 'after event ' || t.seq)
FROM told AS t ORDER BY t.seq;
SELECT is(tallymark.job_at('past', 0) ->> 'status', 'queued', 'before the first it was queued');
SELECT is(tallymark.job_at('past', 0) -> 'progress', '{"timeline": []}', 'and nobody had reported');
SELECT is(jsonb_array_length(tallymark.job_at('past', 5, 2) #> '{progress,timeline}'), 2,
  'as many events as asked for');
SELECT throws_ok(format('SELECT tallymark.job_at(%L, %L)', 'past', c.seq), 'TK400', 'Invalid query', coalesce(c.seq,
  'null') || ' is no event')
FROM unnest(ARRAY['-1', '8', NULL]) AS c (seq);
SELECT throws_ok($$ SELECT tallymark.job_at('nobody', 0) $$, 'TK404', NULL, 'an unknown job is refused');

SELECT * FROM finish();
ROLLBACK;
