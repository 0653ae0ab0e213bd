-- A crawler whose clock is ahead must not block its fields for all others until that time has come.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(9);

DO $$ BEGIN PERFORM tallymark.create_job('job'); END $$;
CREATE TEMPORARY TABLE ack AS SELECT tallymark.merge_progress('job',
  '{"status": "completed", "timestamp": "2999-01-01T00:00:00Z", "stage": "ahead", "updateId": "a"}') AS it;

SELECT is(jsonb_array_length(it -> 'warnings'), 1, 'the crawler is warned, once') FROM ack;
SELECT alike(it -> 'warnings' ->> 0, '%clock%', 'the warning is about the clock') FROM ack;
SELECT ok(newest_at <= clock_timestamp() AND newest_at > clock_timestamp() - interval '1 minute',
  'the update counts as of now') FROM tallymark.job WHERE id = 'job';
SELECT ok(finished_at <= clock_timestamp(), 'nothing finishes in the future') FROM tallymark.job WHERE id = 'job';
SELECT ok(occurred_at <= clock_timestamp(), 'and the ledger says the same') FROM tallymark.job_event
  WHERE job_id = 'job';
SELECT is(payload ->> 'timestamp', '2999-01-01T00:00:00Z', 'and keeps the crawler''s timestamp')
FROM tallymark.job_event WHERE job_id = 'job';

SELECT is(tallymark.merge_progress('job', jsonb_build_object('status', 'started', 'stage', 'later',
  'timestamp', tallymark.iso_timestamp(clock_timestamp()))) -> 'warnings', '[]', 'a clock that is right is not warned');
SELECT is(progress ->> 'stage', 'later', 'and its later updates win') FROM tallymark.job WHERE id = 'job';
SELECT ok(tallymark.verify_job('job'), 'a fold of the ledger gives the same');

SELECT * FROM finish();
ROLLBACK;
