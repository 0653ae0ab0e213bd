-- A job may be registered with a counting that is null. That equals leaving it out, for the state, the ledger and the
-- verification.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(4);

DO $$
BEGIN
  PERFORM tallymark.create_job('job', '{"counting": null}');
  PERFORM tallymark.merge_progress('job', '{"itemsByType": {"issues": 5}, "processedItems": 1}');
  PERFORM tallymark.merge_progress('job', '{"itemsByType": {"issues": 8}, "processedItems": 2}');
END
$$;
SELECT is(progress, '{"itemsByType": {"issues": 13}, "processedItems": 2}', 'its updates are increments')
FROM tallymark.job WHERE id = 'job';
SELECT is(workers, NULL, 'which need no bookkeeping') FROM tallymark.job WHERE id = 'job';
SELECT is_empty($$ SELECT FROM tallymark.job_event WHERE job_id = 'job' AND payload ->> 'counting' IS NULL
  AND payload ? 'counting' $$,
  'the ledger holds no null');
SELECT ok(tallymark.verify_job('job'), 'a fold of the ledger gives the same');

SELECT * FROM finish();
ROLLBACK;
