-- The one promise, for counts: all orders of running totals, increments and legacy names of several workers give the
-- same state, including what is kept for each worker.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(6);
\ir ../helpers.psql


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
