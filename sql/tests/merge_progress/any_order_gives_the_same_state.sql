-- The one promise: all 120 orders of five updates, with duplicates among them, give the same fields, ties, errors,
-- resume state and status, and a fold of the ledger gives that state too.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(8);
\ir ../helpers.psql


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
