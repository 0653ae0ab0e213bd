-- The fold continues from the pruned updates, also where the remaining ones happened before them.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(4);

DO $$
BEGIN
  PERFORM tallymark.create_job('job');
  PERFORM tallymark.merge_progress('job', '{"updateId": "1", "timestamp": "2025-01-06T10:05:00Z", "stage": "new"}');
  PERFORM tallymark.merge_progress('job', '{"updateId": "2", "timestamp": "2025-01-06T10:00:00Z", "stage": "old",
    "message": "m"}');
END
$$;
SELECT is((tallymark.fold_updates('job', 0)).status, 'queued', 'before the first event');
SELECT tallymark.prune_job('job', 'infinity', 1);
SELECT is((tallymark.fold_updates('job', 1)).progress, '{"stage": "new"}', 'up to what was pruned');
SELECT is((tallymark.fold_updates('job')).progress, '{"stage": "new", "message": "m"}', 'with late updates');
SELECT is((tallymark.fold_updates('no such job')).status, 'queued', 'an unknown job gives an empty state');

SELECT * FROM finish();
ROLLBACK;
