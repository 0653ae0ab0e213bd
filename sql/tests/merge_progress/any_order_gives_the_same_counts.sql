-- The one promise, for counts: all orders of running totals, increments and legacy names of several workers give the
-- same state, including what is kept for each worker.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(6);

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
  {"timestamp": "2025-01-06T10:00:00Z", "processedItems": 10, "itemsByType": {"issues": 3}},
  {"timestamp": "2025-01-06T10:01:00Z", "processedItems": 7, "workerId": "w1", "counting": "cumulative",
    "itemsByType": {"issues": 40, "groups": 2}},
  {"timestamp": "2025-01-06T10:02:00Z", "processedItems": 5, "workerId": "w1", "counting": "cumulative",
    "itemsByType": {"issues": 30, "groups": 6}},
  {"timestamp": "2025-01-06T10:03:00Z", "processedItems": 100, "workerId": "w2", "itemsByType": {"issues": 1}},
  {"timestamp": "2025-01-06T10:04:00Z", "processed": 12, "groupCount": 4, "projectCount": 9}]') AS state;
SELECT is(count(*), 120::bigint, 'every order was tried, and every ledger folds to its state') FROM ended;
SELECT is(count(DISTINCT state), 1::bigint, 'all end in one and the same state') FROM ended;
SELECT is(max(state -> 'progress' ->> 'processedItems'), '119', 'the highest of each worker, summed: 12 + 7 + 100')
  FROM ended;
SELECT is((max(state::text)::jsonb) #> '{progress,itemsByType}', '{"issues": 44, "groups": 10, "projects": 9}',
  'the highest of each worker and the increments: 40 + 3 + 1 issues, 6 + 4 groups, 9 projects') FROM ended;

TRUNCATE ended;
INSERT INTO ended SELECT state FROM pg_temp.outcomes('[
  {"timestamp": "2025-01-06T10:00:00Z", "counting": "cumulative", "itemsByType": {}},
  {"timestamp": "2025-01-06T10:00:00Z", "counting": "cumulative", "processedItems": 3},
  {"timestamp": "2025-01-06T10:00:00Z", "processedItems": 2.0, "itemsByType": {"a": 0}},
  {"timestamp": "2025-01-06T10:00:00Z", "workerId": "w", "processedItems": 0}]') AS state;
SELECT is(count(*) || ' orders, states: ' || count(DISTINCT state), '24 orders, states: 1',
  'zeros and empty objects are kept, too')
FROM ended;
SELECT is(max(state -> 'progress' ->> 'processedItems'), '3', 'and count for nothing') FROM ended;

SELECT * FROM finish();
ROLLBACK;
