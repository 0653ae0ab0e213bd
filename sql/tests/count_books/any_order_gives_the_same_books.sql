-- Found, failed and skipped are counted as itemsByType is: increments are summed, running totals are each worker's highest. A
-- total is the newest of its type. All orders give the same state.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(10);
\ir ../helpers.psql

CREATE TEMPORARY TABLE ended AS SELECT state FROM pg_temp.outcomes('[
  {"timestamp": "2025-01-06T10:00:00Z", "processedItems": 10, "foundByType": {"a": 3, "b": 1}, "totalsByType": {"a": 5, "b": 5}},
  {"timestamp": "2025-01-06T10:01:00Z", "workerId": "w1", "counting": "cumulative", "foundByType": {"a": 40},
    "failedByType": {"a": 2}},
  {"timestamp": "2025-01-06T10:02:00Z", "workerId": "w1", "counting": "cumulative", "foundByType": {"a": 30, "c": 6},
    "totalsByType": {"a": 7}},
  {"timestamp": "2025-01-06T10:03:00Z", "counting": "cumulative", "skippedByType": {"a": 8}, "itemsByType": {"a": 1}},
  {"timestamp": "2025-01-06T10:02:30Z", "status": "completed", "failedByType": {"a": 1}, "totalsByType": {"a": 6, "c": 0}}]')
  AS state;
SELECT is(count(*), 120::bigint, 'every order was tried, and every ledger folds to its state') FROM ended;
SELECT is(count(DISTINCT state), 1::bigint, 'all end in one and the same state') FROM ended;
SELECT is((max(state::text)::jsonb) -> 'progress', '{"processedItems": 10, "itemsByType": {"a": 1},
  "foundByType": {"a": 43, "b": 1, "c": 6}, "failedByType": {"a": 3}, "skippedByType": {"a": 8},
  "totalsByType": {"a": 6, "b": 5, "c": 0}}', 'sums, the highest of each worker, and the newest totals') FROM ended;
SELECT is((max(state::text)::jsonb) -> 'workers', '{"": {"processedItems": 10, "itemsByType": {"a": 1},
  "skippedByType": {"a": 8}}, "w1": {"foundByType": {"a": 40, "c": 6}, "failedByType": {"a": 2}}}',
  'what each worker has reported is kept') FROM ended;

TRUNCATE ended;
INSERT INTO ended SELECT state FROM pg_temp.outcomes('[
  {"timestamp": "2025-01-06T10:00:00Z", "updateId": "b", "totalsByType": {"a": 1}},
  {"timestamp": "2025-01-06T10:00:00Z", "updateId": "c", "totalsByType": {"b": 2}, "stage": "s"},
  {"timestamp": "2025-01-06T10:00:00Z", "updateId": "a", "totalsByType": {"a": 3, "b": 3.0}, "stage": "t"},
  {"timestamp": "2025-01-06T10:00:00Z", "counting": "cumulative", "foundByType": {}}]') AS state;
SELECT is(count(*) || ' orders, states: ' || count(DISTINCT state), '24 orders, states: 1', 'at the same time the larger key wins')
FROM ended;
SELECT is((max(state::text)::jsonb) -> 'progress', '{"stage": "s", "foundByType": {}, "totalsByType": {"a": 1, "b": 2}}',
  'type by type, and an empty object is kept') FROM ended;

-- With the fast way of merge_state, which replaces the fields of a job by those of an update that gives them all.
DO $$
BEGIN
  PERFORM tallymark.create_job('fast');
  PERFORM tallymark.merge_progress('fast', '{"timestamp": "2025-01-06T10:00:00Z", "stage": "s", "failedByType": {"a": 1},
    "totalsByType": {"a": 4}}');
  PERFORM tallymark.merge_progress('fast', '{"timestamp": "2025-01-06T10:00:01Z", "stage": "s", "itemsByType": {"a": 1}}');
  PERFORM tallymark.merge_progress_batch('[
    {"taskId": "fast", "timestamp": "2025-01-06T10:00:02Z", "stage": "s", "failedByType": {"a": 1}},
    {"taskId": "fast", "timestamp": "2025-01-06T10:00:03Z", "stage": "s", "failedByType": {"a": 1}}]');
END
$$;
SELECT is(tallymark.get_job('fast', 0) -> 'progress', '{"stage": "s", "itemsByType": {"a": 1}, "failedByType": {"a": 3},
  "totalsByType": {"a": 4}, "timeline": []}', 'what other updates counted stays, and equal increments are all counted');
SELECT is(tallymark.verify_job('fast'), true, 'and is the fold of the ledger');
SELECT is(tallymark.job_at('fast', 1, 0) -> 'books', '{"a": {"total": 4, "done": 0, "failed": 1, "skipped": 0, "left": 3,
  "over": 0}}', 'the job as it was has its books');
DO $$ BEGIN PERFORM tallymark.prune_job('fast', 'infinity', 0); END $$;
SELECT is(tallymark.verify_job('fast'), true, 'after pruning, too');

SELECT * FROM finish();
ROLLBACK;
