-- After the last attempt for the opening the recovery is handed out, and old messages are not sent at all.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(5);

CREATE FUNCTION pg_temp.try_and_fail(times integer) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  FOR n IN 1..times LOOP
    UPDATE tallymark.alert SET due_at = now() WHERE due_at IS NOT NULL AND job_id = 'job';
    PERFORM tallymark.fail_alert_message('a', c.job_id, c.kind, c.opened_at, '{x}', 'no answer')
    FROM tallymark.claim_alert_messages('a') AS c;
  END LOOP;
END
$$;
-- What else is wrong in a database in use is noticed first. Its messages are due again after the rollback.
SELECT tallymark.raise_alerts();
UPDATE tallymark.alert SET due_at = NULL WHERE due_at IS NOT NULL;
SELECT tallymark.create_job('job');
SELECT tallymark.merge_progress('job', '{"updateId": "1", "status": "failed"}');
SELECT tallymark.raise_alerts();
SELECT tallymark.merge_progress('job', '{"updateId": "2", "status": "started"}');
SELECT tallymark.raise_alerts();

SELECT pg_temp.try_and_fail(11);
SELECT is(opening_sent_at, NULL, 'after eleven failures it is not given up') FROM tallymark.alert
WHERE job_id = 'job';
SELECT pg_temp.try_and_fail(1);
SELECT ok(opening_sent_at IS NOT NULL AND delivered_to = '{}' AND last_error = 'no answer',
  'after twelve it is') FROM tallymark.alert
WHERE job_id = 'job';
SELECT is(ARRAY(SELECT recovered FROM tallymark.claim_alert_messages('a')), '{t}', 'then it is the recovery''s turn');
SELECT pg_temp.try_and_fail(12);
SELECT is(due_at, NULL, 'which is given up as well') FROM tallymark.alert
WHERE job_id = 'job';

INSERT INTO tallymark.alert (job_id, kind, facts, opened_at, due_at)
VALUES ('job', 'stalled', '{}', now() - interval '3 days', now() - interval '3 days');
SELECT is_empty($$SELECT * FROM tallymark.claim_alert_messages('a')$$,
  'a message that is three days old is not handed out');

SELECT * FROM finish();
ROLLBACK;
