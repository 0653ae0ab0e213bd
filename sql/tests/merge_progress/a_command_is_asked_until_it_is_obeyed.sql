-- A command is in every acknowledgement until the crawler reports that it was obeyed. The clocks of crawlers may be
-- wrong, and the outcome is the same in any order.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(20);

CREATE FUNCTION pg_temp.ack(updates jsonb, job text DEFAULT 'job') RETURNS text LANGUAGE sql AS $$
  SELECT coalesce(tallymark.merge_progress($2, $1) ->> 'command', 'nothing')
$$;
-- The pending commands after a job had an update, got a command, and then had three more updates, in all orders of
-- these.
CREATE FUNCTION pg_temp.asked(command text, updates jsonb) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  v_order integer[];
  v_job text;
  v_all text[] := '{}';
BEGIN
  FOREACH v_order SLICE 1 IN ARRAY '{{0,1,2},{0,2,1},{1,0,2},{1,2,0},{2,0,1},{2,1,0}}'::integer[] LOOP
    v_job := gen_random_uuid()::text;
    PERFORM tallymark.create_job(v_job);
    PERFORM tallymark.merge_progress(v_job, '{"updateId": "first", "timestamp": "2025-01-06T10:00:00Z"}');
    PERFORM tallymark.request_command(v_job, command);
    FOR n IN 1 .. 3 LOOP
      PERFORM tallymark.merge_progress(v_job, updates -> v_order[n]);
      PERFORM tallymark.merge_progress(v_job, updates -> v_order[1]);
    END LOOP;
    v_all := v_all || (SELECT coalesce(j.requested_command, 'nothing') || CASE WHEN tallymark.verify_job(v_job) THEN ''
      ELSE '!' END
      FROM tallymark.job AS j WHERE j.id = v_job);
  END LOOP;
  RETURN (SELECT string_agg(DISTINCT a, ' ') FROM unnest(v_all) AS a);
END
$$;
DO $$
BEGIN
  PERFORM tallymark.create_job('job');
  PERFORM pg_temp.ack('{"timestamp": "2025-01-06T10:00:00Z", "updateId": "a"}');
  PERFORM tallymark.request_command('job', 'pause');
END
$$;
SELECT is(pg_temp.ack('{"timestamp": "2025-01-06T10:01:00Z", "updateId": "b"}'), 'pause',
  'the next acknowledgement carries it');
SELECT is(pg_temp.ack('{"timestamp": "2025-01-06T10:02:00Z", "status": "started"}'), 'pause',
  'and so does that of a start');
SELECT is(pg_temp.ack('{"timestamp": "2025-01-06T10:01:00Z", "updateId": "b"}'), 'pause', 'and that of a duplicate');
SELECT is(pg_temp.ack('{"timestamp": "2025-01-06T09:00:00Z", "status": "paused"}'), 'pause',
  'a pause from before the command does not obey it');
SELECT is(pg_temp.ack('{"timestamp": "2025-01-06T10:01:30Z", "status": "paused"}'), 'nothing',
  'a late pause obeys if it is newer than all there was when the command was given');
SELECT is(tallymark.request_command('job', 'cancel') ->> 'command', 'cancel', 'the next command');
SELECT is(pg_temp.ack('{"timestamp": "2025-01-06T10:03:00Z", "status": "paused"}'), 'cancel',
  'is not obeyed by a pause');
SELECT is(pg_temp.ack('{"timestamp": "2025-01-06T10:04:00Z", "areas": [], "timeline": [
    {"event": "command_requested", "timestamp": "2025-01-06T10:04:00Z", "details": {"command": "resume"}}]}'), 'cancel',
  'an event of the crawler''s own is no command, whatever it calls it');
SELECT is(pg_temp.ack('{"timestamp": "2025-01-06T10:05:00Z", "status": "cancelled"}'), 'nothing',
  'but by an end it is');
SELECT ok(tallymark.verify_job('job'), 'the ledger folds to the state');
SELECT is(pg_temp.ack('{"timestamp": "2025-01-06T10:06:00Z", "status": "started"}'), 'nothing',
  'after a restart nothing is asked');
SELECT is(tallymark.request_command('job', 'resume') ->> 'command', 'resume', 'a job that runs may be told to resume');
SELECT is(pg_temp.ack('{"status": "paused", "timestamp": "2025-01-06T10:07:00Z"}'), 'resume',
  'a pause does not obey that');
SELECT is(pg_temp.ack('{"timestamp": "2099-01-01T00:00:00Z"}'), 'nothing',
  'progress does, even with a clock that is ahead');
SELECT ok(tallymark.verify_job('job'), 'the ledger folds to the state');
SELECT is(pg_temp.asked(c.command, c.updates), c.left_over, c.why)
FROM (VALUES
  (1, 'pause', '[{"updateId": "x", "timestamp": "2025-01-06T10:02:00Z"}, {"updateId": "p", "status": "paused", '
    '"timestamp": "2025-01-06T10:01:00Z"},
    {"updateId": "y", "timestamp": "2025-01-06T09:00:00Z", "status": "completed"}]'::jsonb, 'nothing',
      'in any order: a pause that was obeyed'),
  (2, 'pause', '[{"updateId": "x", "timestamp": "2025-01-06T10:02:00Z"}, {"updateId": "p", "status": "paused", '
    '"timestamp": "2025-01-06T10:00:00Z"},
    {"updateId": "y", "timestamp": "2025-01-06T09:00:00Z", "status": "completed"}]', 'pause',
      'in any order: one that was not'),
  (3, 'cancel', '[{"updateId": "x", "timestamp": "2025-01-06T10:02:00Z", "status": "started"}, {"updateId": "p", '
    '"status": "failed",
    "timestamp": "2025-01-06T10:01:00Z"}, {"updateId": "y", "timestamp": "2025-01-06T10:03:00Z", "status": "paused"}]',
      'nothing',
    'in any order: a failure, and a restart'),
  (4, 'resume', '[{"updateId": "x", "timestamp": "2025-01-06T10:02:00Z", "status": "credential_expiry"}, {"updateId": '
    '"p", "status": "paused",
    "timestamp": "2025-01-06T10:01:00Z"}, {"updateId": "y", "timestamp": "2025-01-06T10:00:00Z"}]', 'resume',
    'in any order: a job that did not go on')) AS c (number, command, updates, left_over, why) ORDER BY c.number;
SELECT is(count(*), 0::bigint, 'every event of every job is numbered')
FROM (
  SELECT e.seq, row_number() OVER (PARTITION BY e.job_id ORDER BY e.seq) AS number
  FROM tallymark.job_event AS e JOIN tallymark.job AS j ON j.id = e.job_id
  WHERE j.created_at >= now()) AS e
WHERE e.seq <> e.number;

SELECT * FROM finish();
ROLLBACK;
