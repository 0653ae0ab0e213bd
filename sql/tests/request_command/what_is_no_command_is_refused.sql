-- An invalid command is refused with the fitting status, and nothing changes.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(15);

DO $$
BEGIN
  PERFORM tallymark.create_job('job'), tallymark.create_job('finished'), tallymark.create_job('failed'),
    tallymark.create_job('cancelled');
  PERFORM tallymark.merge_progress(j.id, jsonb_build_object('status', j.status, 'timestamp', '2025-01-06T10:00:00Z'))
  FROM (VALUES ('finished', 'completed'), ('failed', 'failed'), ('cancelled', 'cancelled')) AS j (id, status);
END
$$;
SELECT throws_ok(format('SELECT tallymark.request_command(%L, %L, %L)', c.id, c.command, c.who), c.sqlstate, NULL,
  c.sqlstate || ': ' || c.why)
FROM (VALUES (1, 'job', 'dance', NULL, 'TK400', 'no such command'), (2, 'job', 'PAUSE', NULL, 'TK400',
  'in small letters'),
  (3, 'job', NULL, NULL, 'TK400', 'null'), (4, 'job', '', NULL, 'TK400', 'an empty one'),
  (5, 'job', 'pause', repeat('x', 256), 'TK400', 'a name that is too long'),
  (6, 'unknown', 'pause', NULL, 'TK404', 'an unknown job'), (7, NULL, 'pause', NULL, 'TK400', 'no job'),
  (8, '', 'pause', NULL, 'TK400', 'an id that no job has'), (9, 'unknown', 'dance', NULL, 'TK400',
    'the command is judged first'),
  (10, 'finished', 'resume', NULL, 'TK409', 'a finished job'), (11, 'failed', 'pause', NULL, 'TK409', 'a failed job'),
  (12, 'cancelled', 'cancel', NULL, 'TK409', 'a cancelled job')) AS c (number, id, command, who, sqlstate, why)
ORDER BY c.number;
SELECT throws_ok($$ SELECT tallymark.request_command('finished', 'pause') $$, 'TK409', 'Job has ended',
  'with the protocol''s message');
SELECT is(sum(last_seq), 3::numeric, 'nothing was appended to the ledger')
FROM tallymark.job WHERE id IN ('job', 'finished', 'failed', 'cancelled');
SELECT is(count(requested_command), 0::bigint, 'and no command is pending')
FROM tallymark.job WHERE id IN ('job', 'finished', 'failed', 'cancelled');

SELECT * FROM finish();
ROLLBACK;
