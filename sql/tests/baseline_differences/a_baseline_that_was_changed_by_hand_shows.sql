-- The pruned events are gone, so verification uses the digest and the keys to tell whether the baseline is what they
-- gave.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(5);

DO $$
BEGIN
  PERFORM tallymark.create_job('job');
  PERFORM tallymark.merge_progress('job', '{"updateId": "1", "itemsByType": {"issues": 4}}');
  PERFORM tallymark.merge_progress('job', '{"updateId": "2", "itemsByType": {"issues": 4}}');
  PERFORM tallymark.prune_job('job', 'infinity', 0);
END
$$;
SELECT is_empty($$SELECT * FROM tallymark.verify_differences('job')$$, 'as it was left it verifies');

SAVEPOINT pruned;
UPDATE tallymark.job_baseline SET state = jsonb_set(state, '{progress,itemsByType,issues}', '9')
WHERE job_id = 'job';
UPDATE tallymark.job SET progress = jsonb_set(progress, '{itemsByType,issues}', '9') WHERE id = 'job';
SELECT is(ARRAY(SELECT field FROM tallymark.verify_differences('job')), '{baseline}', 'changed together with the job');
ROLLBACK TO pruned;
DELETE FROM tallymark.pruned_update WHERE job_id = 'job' AND seq = 1;
SELECT results_eq($$SELECT seq, field, stored, folded FROM tallymark.verify_differences('job')$$,
  $$VALUES (2::bigint, 'pruned keys', '1'::jsonb, '2'::jsonb)$$, 'a key is missing');
ROLLBACK TO pruned;
UPDATE tallymark.job SET pruned_seq = 1 WHERE id = 'job';
SELECT is(ARRAY(SELECT field FROM tallymark.verify_differences('job')), '{pruned_seq}', 'the job says another number');
ROLLBACK TO pruned;
DELETE FROM tallymark.job_baseline WHERE job_id = 'job';
SELECT ok('pruned keys' = ANY (ARRAY(SELECT field FROM tallymark.verify_differences('job'))), 'the baseline is gone');

SELECT * FROM finish();
ROLLBACK;
