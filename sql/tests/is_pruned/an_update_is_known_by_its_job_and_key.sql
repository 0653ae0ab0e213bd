-- The same key on another job is another update.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(4);

SELECT tallymark.create_job('job');
SELECT tallymark.merge_progress('job', '{"updateId": "a"}');
SELECT is(tallymark.is_pruned('job', '=a'), false, 'it is in the ledger');
SELECT tallymark.prune_job('job', 'infinity', 0);
SELECT is(tallymark.is_pruned('job', '=a'), true, 'it was pruned');
SELECT is(tallymark.is_pruned('job', '=b'), false, 'another');
SELECT is(tallymark.is_pruned('other', '=a'), false, 'of another job');

SELECT * FROM finish();
ROLLBACK;
