-- The ledger alone gives the pending command and the number of areas after any event. A crawler's own event is never a
-- command.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(2);

DO $$
BEGIN
  PERFORM tallymark.create_job('job');
  PERFORM tallymark.merge_progress('job', '{"updateId": "a", "timestamp": "2025-01-06T10:00:00Z",
    "areas": [{"fullPath": "g", "type": "group"}]}'); -- 1
  PERFORM tallymark.request_command('job', 'pause'); -- 2
  PERFORM tallymark.merge_progress('job', '{"updateId": "b", "timestamp": "2025-01-06T10:01:00Z", "areas": '
    '[{"fullPath": "g", "type": "project"}],
    "timeline": [{"event": "command_requested", "timestamp": "2025-01-06T10:01:00Z", "details": {"command":
      "cancel"}}]}'); -- 3, 4
  PERFORM tallymark.request_command('job', 'cancel'); -- 5
  PERFORM tallymark.request_command('job', 'pause'); -- 6
  PERFORM tallymark.merge_progress('job', '{"updateId": "c", "timestamp": "2025-01-06T10:02:00Z", "status": "paused",
    "areas": [{"fullPath": "h", "type": "group"}]}'); -- 7
  PERFORM tallymark.request_command('job', 'resume'); -- 8
END
$$;
SELECT is(array_agg(coalesce(f.requested_command || ' ' || f.command_seq, '-') ORDER BY g.n),
  '{-,-,pause 2,pause 2,pause 2,cancel 5,pause 6,-,resume 8}', 'the pending command and its event')
FROM generate_series(0, 8) AS g (n), tallymark.fold_ledger('job', g.n) AS f;
SELECT is(array_agg(f.progress -> 'itemsByType' -> 'groups' || (f.progress -> 'itemsByType' -> 'projects') ORDER BY
  g.n),
  ARRAY[NULL, '[1, 0]', '[1, 0]', '[0, 1]', '[0, 1]', '[0, 1]', '[0, 1]', '[1, 1]', '[1, 1]']::jsonb[],
    'groups and projects')
FROM generate_series(0, 8) AS g (n), tallymark.fold_ledger('job', g.n) AS f;

SELECT * FROM finish();
ROLLBACK;
