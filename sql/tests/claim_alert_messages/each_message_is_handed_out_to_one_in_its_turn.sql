-- The opening comes before the recovery. Each message goes to one watcher, and to another one when the first does not
-- report the outcome in time.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(18);

CREATE FUNCTION pg_temp.claim(watcher text) RETURNS TABLE (recovered boolean, message_id text, delivered_to text[])
LANGUAGE sql AS $$ SELECT recovered, message_id, delivered_to FROM tallymark.claim_alert_messages(watcher) $$;
CREATE FUNCTION pg_temp.confirm(watcher text, recovered boolean) RETURNS boolean
LANGUAGE sql AS $$
  SELECT tallymark.confirm_alert_message(watcher, job_id, kind, opened_at, recovered) FROM tallymark.alert
  WHERE job_id = 'job'
$$;

-- What else is wrong in a database in use is noticed first. Its messages are due again after the rollback.
SELECT tallymark.raise_alerts();
UPDATE tallymark.alert SET due_at = NULL WHERE due_at IS NOT NULL;
SELECT tallymark.create_job('job');
SELECT tallymark.merge_progress('job', '{"updateId": "1", "status": "failed"}');
SELECT tallymark.raise_alerts();
CREATE TEMPORARY TABLE first AS SELECT * FROM pg_temp.claim('a');
SELECT is(recovered, false, 'the opening comes first') FROM first;
SELECT matches(message_id, '^[0-9a-f]{16}-opened$', 'with a message_id of its own') FROM first;
SELECT is_empty($$SELECT * FROM pg_temp.claim('b')$$, 'nobody else gets it');
SELECT is(pg_temp.confirm('b', false), false, 'nor may confirm it');

UPDATE tallymark.alert SET due_at = now() - interval '1 second' WHERE job_id = 'job';
SELECT results_eq($$SELECT * FROM pg_temp.claim('b')$$, 'SELECT * FROM first',
  'when the lease is over, the next one gets the same');
SELECT is(pg_temp.confirm('a', false), false, 'the first watcher can no longer confirm it');
SELECT ok(tallymark.fail_alert_message('b', job_id, kind, opened_at, '{x}', 'no answer')
  BETWEEN clock_timestamp() + interval '5 seconds' AND clock_timestamp() + interval '15 seconds',
  'after a failure it is handed out later') FROM tallymark.alert WHERE job_id = 'job';
SELECT is_empty($$SELECT * FROM pg_temp.claim('b')$$, 'but not yet');
UPDATE tallymark.alert SET due_at = now() - interval '1 second' WHERE job_id = 'job';
SELECT is(delivered_to, '{x}', 'delivered_to names the receivers that have it') FROM pg_temp.claim('b');

SELECT tallymark.merge_progress('job', '{"updateId": "2", "status": "started"}');
SELECT is(tallymark.raise_alerts() -> 'recovered', '1', 'the condition is over meanwhile');
SELECT is_empty($$SELECT * FROM pg_temp.claim('a')$$, 'but the message about the opening is still claimed');
SELECT is(pg_temp.confirm('b', true), false, 'a recovery that was not handed out cannot be confirmed');
SELECT is(pg_temp.confirm('b', false), true, 'the opening was sent');
CREATE TEMPORARY TABLE second AS SELECT * FROM pg_temp.claim('a');
SELECT is(recovered, true, 'then it is the recovery''s turn') FROM second;
SELECT is(replace(s.message_id, 'recovered', 'opened'), f.message_id,
  'with the message_id of the same alert') FROM first AS f, second AS s;
SELECT is(pg_temp.confirm('a', true), true, 'it was sent');
SELECT is_empty($$SELECT * FROM pg_temp.claim('a')$$, 'there is no more');
SELECT is(tallymark.fail_alert_message('a', job_id, kind, opened_at, '{}', 'late'), NULL, 'and nothing left to fail')
FROM tallymark.alert WHERE job_id = 'job';

SELECT * FROM finish();
ROLLBACK;
