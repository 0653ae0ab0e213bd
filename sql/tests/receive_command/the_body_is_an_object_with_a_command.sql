-- A body from HTTP may be anything: all but an object with a command is refused, without a change.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(14);

DO $$ BEGIN PERFORM tallymark.create_job('job'); END $$;
SELECT throws_ok(format('SELECT tallymark.receive_command(%L, %L)', c.body, 'job'), 'TK400', c.error,
  c.error || ': ' || coalesce(left(c.body, 30), 'nothing'))
FROM (VALUES (1, '[]', 'Invalid request body'), (2, '"pause"', 'Invalid request body'), (3, 'null',
  'Invalid request body'),
  (4, NULL, 'Invalid request body'), (5, '[{"command": "pause"}]', 'Invalid request body'), (6, '{}',
    'Invalid command'),
  (7, '{"command": null}', 'Invalid command'), (8, '{"command": ["pause"]}', 'Invalid command'),
  (9, '{"command": 1e131071}', 'Invalid command'), (10, '{"command": "Pause"}', 'Invalid command'),
  (11, '{"command": {"command": "pause"}}', 'Invalid command')) AS c (number, body, error) ORDER BY c.number;
SELECT throws_ok($$ SELECT tallymark.receive_command('{"command": "pause"}', 'unknown') $$, 'TK404', 'Job not found',
  'an unknown job');
SELECT is(tallymark.receive_command('{"command": "pause", "more": 1e131071}', 'job', 'token') ->> 'command', 'pause',
  'a valid body: the answer is the job, and other members of the body are ignored');
SELECT is(details ->> 'requestedBy', 'token', 'the token''s name is in the ledger') FROM tallymark.timeline('job');

SELECT * FROM finish();
ROLLBACK;
