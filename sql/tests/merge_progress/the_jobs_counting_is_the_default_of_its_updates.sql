-- A job registered with counting: cumulative treats what its old crawler sends as running totals, since that crawler
-- cannot say so. An update that gives counting is treated accordingly.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(8);
\ir ../helpers.psql

CREATE FUNCTION pg_temp.items_after(job text, payload jsonb) RETURNS jsonb LANGUAGE sql
RETURN (SELECT j.progress -> 'itemsByType' FROM pg_temp.job_after(payload, job) AS j);
DO $$
BEGIN
  PERFORM tallymark.create_job('old', '{"counting": "cumulative", "account": "a"}');
  PERFORM tallymark.create_job('new', '{"counting": "increment"}');
END
$$;

SELECT is(pg_temp.items_after('old', '{"timestamp": "2025-01-06T10:01:00Z", "itemsByType": {"issues": 5}}'),
  '{"issues": 5}', 'the first report');
SELECT is(pg_temp.items_after('old', '{"timestamp": "2025-01-06T10:02:00Z", "itemsByType": {"issues": 8}}'),
  '{"issues": 8}', 'the next is a running total');
SELECT is(pg_temp.items_after('old',
  '{"timestamp": "2025-01-06T10:03:00Z", "counting": null, "itemsByType": {"issues": 9}}'),
  '{"issues": 9}', 'so is one whose own counting is null');
SELECT is(pg_temp.items_after('old',
  '{"timestamp": "2025-01-06T10:04:00Z", "counting": "increment", "itemsByType": {"issues": 1}}'),
  '{"issues": 10}', 'one that says it is an increment is added');
SELECT is(pg_temp.items_after('new', '{"timestamp": "2025-01-06T10:01:00Z", "itemsByType": {"issues": 5}}'),
  '{"issues": 5}', 'a job may also be registered with the default');
SELECT is(pg_temp.items_after('new', '{"timestamp": "2025-01-06T10:02:00Z", "itemsByType": {"issues": 8}}'),
  '{"issues": 13}', 'which sums');
SELECT is(tallymark.merge_progress('old', '{"timestamp": "2025-01-06T10:02:00Z", "itemsByType": {"issues": 8}}')
  - '{message,seq,command,status}'::text[], '{"duplicate": true, "warnings": []}', 'a retry is recognised');
SELECT ok(tallymark.verify_job('old') AND tallymark.verify_job('new'), 'a fold of the ledger gives the same');

SELECT * FROM finish();
ROLLBACK;
