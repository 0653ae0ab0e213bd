-- The verdict is the worst finding, and the three parts are always there, in their order.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(7);

DO $$ BEGIN
  PERFORM tallymark.create_job('J one');
  PERFORM tallymark.merge_progress('J one', jsonb_build_object('processedItems', n * 20, 'totalItems', 400))
  FROM generate_series(1, 20) AS n;
END $$;

SELECT is(tallymark.diagnose_job('J one') - 'asOf' - 'scenarios', '{"id": "J one", "status": "running",
  "severity": "ok", "verdict": "Nothing is wrong with this job, which is running.", "problems": 0, "warnings": 0,
  "updatesLookedAt": 20, "lastSeq": 20, "prunedSeq": 0}', 'a healthy job');
SELECT is((SELECT string_agg(s ->> 'scenario', ' ') FROM jsonb_array_elements(
  tallymark.diagnose_job('J one') -> 'scenarios') AS s), 'stalled data performance', 'three parts');
SELECT is(tallymark.diagnose_job('J one', NULL, 5) -> 'updatesLookedAt', '5', 'max_updates limits the updates');
SELECT is(tallymark.diagnose_job('J one', NULL, -5) -> 'updatesLookedAt', '1', 'at least one');
UPDATE tallymark.job SET progress = progress || '{"processedItems": 500}' WHERE id = 'J one';
SELECT is(tallymark.diagnose_job('J one') ->> 'verdict', '1 problem and 1 warning: Its state does not match its '
  'ledger: event 20 differs in processedItems.', 'the problem comes before the warning');
SELECT is(tallymark.diagnose_job('J one', false) ->> 'verdict', '1 warning: It has processed 500 of 400 items, more than '
  'there are.', 'the warning alone');
SELECT throws_ok($$ SELECT tallymark.diagnose_job('J none') $$, 'TK404', NULL, 'no such job');

SELECT * FROM finish();
ROLLBACK;
