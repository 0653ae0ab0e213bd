-- A command whose event was pruned is obeyed by the same updates as before: those newer than all there was when it was
-- given.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(5);

DO $$
BEGIN
  PERFORM tallymark.create_job('job');
  PERFORM tallymark.merge_progress('job', '{"updateId": "1", "timestamp": "2025-01-06T10:05:00Z"}');
  PERFORM tallymark.request_command('job', 'pause');
  PERFORM tallymark.prune_job('job', 'infinity', 0);
END
$$;
SELECT results_eq($$SELECT * FROM tallymark.pending_command('job')$$,
  $$VALUES ('pause', 2::bigint, '2025-01-06T10:05:00Z'::timestamptz)$$, 'the command is still pending');
SELECT tallymark.merge_progress('job', '{"updateId": "2", "timestamp": "2025-01-06T10:04:00Z", "status": "paused"}');
SELECT is((SELECT requested_command FROM tallymark.job WHERE id = 'job'), 'pause', 'an update from before it does not obey it');
SELECT tallymark.merge_progress('job', '{"updateId": "3", "timestamp": "2025-01-06T10:06:00Z", "status": "paused"}');
SELECT is((SELECT requested_command FROM tallymark.job WHERE id = 'job'), NULL, 'a newer update does');
SELECT results_eq($$SELECT * FROM tallymark.pending_command('job')$$,
  $$VALUES (NULL::text, NULL::bigint, NULL::timestamptz)$$, 'the ledger says so, too');
SELECT is_empty($$SELECT * FROM tallymark.verify_differences('job')$$, 'and the job verifies');

SELECT * FROM finish();
ROLLBACK;
