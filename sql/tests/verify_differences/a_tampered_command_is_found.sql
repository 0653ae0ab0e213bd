-- The pending command follows from the ledger alone: a change of the row or of the ledger is found.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(7);
\ir ../helpers.psql

DO $$
BEGIN
  PERFORM tallymark.create_job('job');
  PERFORM tallymark.merge_progress('job', '{"updateId": "a", "timestamp": "2025-01-06T10:00:00.123456Z", "status": '
    '"paused"}');
  PERFORM tallymark.request_command('job', 'pause', 'me');
END
$$;
SELECT is(pg_temp.differences(c.change), c.differences, c.why)
FROM (VALUES
  (1, 'SELECT', 'true', 'as it is, to the microsecond'),
  (2, 'UPDATE tallymark.job SET requested_command = NULL, command_seq = NULL WHERE id = ''job''', 'false command_seq, requested_command',
    'a command taken back'),
  (3, $$UPDATE tallymark.job SET requested_command = 'cancel' WHERE id = 'job'$$, 'false requested_command', 'another in its place'),
  (4, 'UPDATE tallymark.job SET command_seq = 1 WHERE id = ''job''', 'false command_seq', 'another event'),
  (5, $$UPDATE tallymark.job_event SET details = details || '{"command": "cancel"}' WHERE job_id = 'job' AND seq = 2$$,
    'false requested_command',
    'another on the record'),
  (6, $$UPDATE tallymark.job_event SET details = details || '{"after": "2025-01-06T09:00:00Z"}' WHERE job_id = 'job' AND seq = 2$$,
    'false command_seq, requested_command', 'a record from before the pause'),
  (7, $$UPDATE tallymark.job_event SET update_key = NULL WHERE job_id = 'job' AND seq = 2$$, 'false command_seq, requested_command',
    'a record that is no command any more')) AS c (number, change, differences, why) ORDER BY c.number;

SELECT * FROM finish();
ROLLBACK;
