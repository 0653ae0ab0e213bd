-- Whatever the order, the state is the same: keys are a set.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(3);
\ir ../helpers.psql

CREATE TEMPORARY TABLE ends AS SELECT o FROM pg_temp.outcomes('[
  {"updateId": "1", "timestamp": "2025-01-06T10:00:00Z", "itemKeys": {"pages": ["a", "b"], "x": ["a"]}},
  {"updateId": "2", "timestamp": "2025-01-06T10:01:00Z", "itemKeys": {"pages": ["b", "c"]}, "itemsByType": {"x": 5}},
  {"updateId": "3", "timestamp": "2025-01-06T10:02:00Z", "itemKeys": {"pages": ["a"]}, "counting": "cumulative",
    "itemsByType": {"x": 7}},
  {"updateId": "4", "timestamp": "2025-01-06T10:03:00Z", "status": "completed", "itemKeys": {"groups": ["a"]},
    "areas": [{"fullPath": "g", "type": "group"}]}]') AS o;
SELECT is((SELECT count(*) FROM ends), 24::bigint, 'in each order the ledger folds to the state');
SELECT is((SELECT count(DISTINCT o) FROM ends), 1::bigint, 'which is the same');
SELECT is((SELECT DISTINCT o -> 'progress' -> 'itemsByType' FROM ends),
  '{"x": 13, "pages": 3, "groups": 1, "projects": 0}', 'with each key once');

SELECT * FROM finish();
ROLLBACK;
