-- The one promise: all 120 orders of five updates, with duplicates among them, give the same fields, ties, errors,
-- resume state and status, and a fold of the ledger gives that state too.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(8);

-- In how many states a job may end, over all orders in which the updates of a set may come.
CREATE FUNCTION pg_temp.outcomes(updates jsonb) RETURNS SETOF jsonb LANGUAGE plpgsql AS $$
DECLARE
  v_order integer[];
  v_job text;
  v_number integer;
BEGIN
  FOR v_order IN
    WITH RECURSIVE orders AS (
      SELECT '{}'::integer[] AS taken
      UNION ALL
      SELECT o.taken || n FROM orders AS o, generate_series(0, jsonb_array_length(updates) - 1) AS n
      WHERE n <> ALL (o.taken))
    SELECT o.taken FROM orders AS o WHERE cardinality(o.taken) = jsonb_array_length(updates)
  LOOP
    v_job := gen_random_uuid()::text;
    PERFORM tallymark.create_job(v_job);
    FOREACH v_number IN ARRAY v_order LOOP
      PERFORM tallymark.merge_progress(v_job, updates -> v_number);
      PERFORM tallymark.merge_progress(v_job, updates -> v_order[1]); -- a duplicate, all along
    END LOOP;
    RETURN QUERY SELECT to_jsonb(j) - '{id,created_at,updated_at,last_seq}'::text[] FROM tallymark.job AS j
    WHERE j.id = v_job AND tallymark.verify_job(v_job);
  END LOOP;
END
$$;

CREATE TEMPORARY TABLE ended AS SELECT state FROM pg_temp.outcomes('[
  {"timestamp": "2025-01-06T10:00:00Z", "status": "started", "stage": "a", "totalItems": 10, "progress": {"page": 1}},
  {"timestamp": "2025-01-06T10:01:00Z", "stage": "b", "error": "first", "itemsByType": {"issues": 1},
    "processedItems": 9},
  {"timestamp": "2025-01-06T10:01:00Z", "stage": "c", "message": "tie", "itemsByType": {"issues": 2, "commits": 4}},
  {"timestamp": "2025-01-06T10:02:00Z", "status": "completed", "updateId": "end", "message": "done"},
  {"timestamp": "2025-01-06T10:02:00Z", "updateId": "z", "lastProcessedId": "7", "processedItems": 5, "own": [1]}]')
    AS state;
SELECT is(count(*), 120::bigint, 'every order was tried, and every ledger folds to its state') FROM ended;
SELECT is(count(DISTINCT state), 1::bigint, 'all end in one and the same state') FROM ended;
SELECT is(max(state ->> 'status'), 'finished', 'of a completion and a progress at one instant the job has finished')
  FROM ended;
SELECT is(max(state -> 'progress' ->> 'itemsByType'), '{"issues": 3, "commits": 4}', 'every increment is in it once')
  FROM ended;
SELECT is(max(state -> 'progress' ->> 'message'), 'done', 'the newest message is') FROM ended;
SELECT is(max(state -> 'progress' ->> 'lastProcessedId'), '7', 'and the newest cursor') FROM ended;

TRUNCATE ended;
INSERT INTO ended SELECT state FROM pg_temp.outcomes('[
  {"timestamp": "2025-01-06T10:00:00Z", "status": "completed", "updateId": "b", "progress": 1},
  {"timestamp": "2025-01-06T10:00:00Z", "status": "processing", "updateId": "d", "progress": 2},
  {"timestamp": "2025-01-06T10:00:00Z", "status": "failed", "updateId": "a", "error": "x"},
  {"timestamp": "2025-01-06T10:00:00Z", "status": "started", "updateId": "c", "error": "y"}]') AS state;
SELECT is(count(*) || ' orders, states: ' || count(DISTINCT state), '24 orders, states: 1',
  'four statuses of one instant give one state') FROM ended;
SELECT is(max(state ->> 'status'), 'finished', 'of two terminal ones that of the larger key, not of the running ones')
  FROM ended;

SELECT * FROM finish();
ROLLBACK;
