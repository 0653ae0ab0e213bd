-- Whether the stored state is the fold of the ledger is true or false, never null.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(4);

DO $$
BEGIN
  PERFORM tallymark.create_job('job');
  PERFORM tallymark.create_job('other');
  PERFORM tallymark.merge_progress('job', '{"itemsByType": {"issues": 1}}') FROM generate_series(1, 50);
END
$$;
SELECT is(tallymark.verify_job('job'), true, 'true after fifty updates');
UPDATE tallymark.job SET progress = '{"itemsByType": {"issues": 49}}' WHERE id = 'job';
SELECT is(tallymark.verify_job('job'), false, 'false when one of them was lost');
SELECT is(tallymark.verify_job('other'), true, 'which is no other job''s business');
UPDATE tallymark.job SET progress = '[]' WHERE id = 'job';
SELECT lives_ok($$ SELECT tallymark.verify_job('job') $$, 'and no error when what is stored is no object at all');

SELECT * FROM finish();
ROLLBACK;
