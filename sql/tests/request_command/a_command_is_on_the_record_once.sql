-- A command is on the timeline, with who gave it. Giving the pending command again changes nothing.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(14);

DO $$ BEGIN PERFORM tallymark.create_job('job''s "x" %_\'); END $$;
CREATE FUNCTION pg_temp.ask(command text, who text DEFAULT NULL) RETURNS text LANGUAGE sql AS $$
  SELECT tallymark.request_command('job''s "x" %_\', $1, $2) ->> 'command'
$$;
CREATE FUNCTION pg_temp.record() RETURNS text LANGUAGE sql AS $$
  SELECT string_agg(t.seq || ' ' || t.event || ' ' || (t.details ->> 'command') || coalesce(' ' || (t.details ->>
    'requestedBy'), ''),
    ', ' ORDER BY t.seq) FROM tallymark.timeline('job''s "x" %_\') AS t
$$;
SELECT is(pg_temp.ask('pause', 'Zoë "%s"'), 'pause', 'the answer is the job, with the command');
SELECT is(pg_temp.record(), '1 command_requested pause Zoë "%s"', 'it is in the ledger, with who gave it');
SELECT is(pg_temp.ask('pause', 'another'), 'pause', 'the same command again');
SELECT is(pg_temp.record(), '1 command_requested pause Zoë "%s"', 'it is in the ledger once');
SELECT is(pg_temp.ask('cancel'), 'cancel', 'another command takes its place');
SELECT is(pg_temp.ask('pause'), 'pause', 'and the first takes the place of that one');
SELECT is(pg_temp.record(), '1 command_requested pause Zoë "%s", 2 command_requested cancel, 3 command_requested pause',
  'each is in the ledger');
SELECT ok(tallymark.verify_job('job''s "x" %_\'), 'the ledger folds to the state');
SELECT is(tallymark.merge_progress('job''s "x" %_\', '{"timestamp": "2025-01-06T10:00:00Z", "updateId": "!3"}') -
  'message',
  '{"seq": 4, "status": "received", "command": "pause", "warnings": [], "duplicate": false}',
    'the next acknowledgement carries it');
SELECT is(tallymark.merge_progress('job''s "x" %_\', '{"timestamp": "2025-01-06T10:00:00Z", "updateId": "!3"}') ->>
  'command',
  'pause', 'that of a duplicate, too');
SELECT is(tallymark.merge_progress('job''s "x" %_\', '{"timestamp": "2025-01-06T10:01:00Z", "status": "paused"}') ->
  'command', 'null',
  'it is gone once the crawler has obeyed');
SELECT is(pg_temp.ask('pause'), 'pause', 'and can be given again');
SELECT is(last_seq || ' ' || status, '6 paused', 'as a new event; the status stays the crawler''s') FROM tallymark.job
WHERE id = 'job''s "x" %_\';
SELECT ok(tallymark.verify_job('job''s "x" %_\'), 'the ledger folds to the state');

SELECT * FROM finish();
ROLLBACK;
