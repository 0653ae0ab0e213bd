-- All statuses are listed, also those without jobs. A limit makes the count cheap, and the result says where there are
-- more.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(9);

DO $$
BEGIN
  PERFORM tallymark.create_job('S ' || n) FROM generate_series(1, 5) AS n;
  PERFORM tallymark.create_job('T 1');
  PERFORM tallymark.merge_progress('S 1', '{"status": "failed"}');
  PERFORM tallymark.merge_progress('T 1', '{"status": "paused"}');
END
$$;

SELECT set_eq($$ SELECT jsonb_object_keys(tallymark.jobs_by_status() -> 'statuses') $$,
  $$ SELECT tallymark.job_status(s) FROM unnest('{processing,waiting,completed,failed,paused,cancelled,credential_expiry,
    credential_renewal,credential_resumed}'::text[]) AS s UNION SELECT 'queued' $$, 'each status that a job can have');
SELECT is(tallymark.jobs_by_status(at_most => 1000000) - 'statuses', jsonb_build_object('jobs', count(*), 'more', false),
  'all of them') FROM tallymark.job;
SELECT is(tallymark.jobs_by_status('S ') #> '{statuses,queued}', '{"jobs": 4, "more": false}', 'those of one');
SELECT is(tallymark.jobs_by_status('S ') #> '{statuses,finished}', '{"jobs": 0, "more": false}', 'one that no job has');
SELECT is(tallymark.jobs_by_status('S ') - 'statuses', '{"jobs": 5, "more": false}', 'with id_prefix');
SELECT is(tallymark.jobs_by_status('S ', 3) #> '{statuses,queued}', '{"jobs": 3, "more": true}', 'up to a limit');
SELECT is(tallymark.jobs_by_status('S ', 4) #> '{statuses,queued}', '{"jobs": 4, "more": false}',
  'which is not passed');
SELECT is(tallymark.jobs_by_status('S ', 3) - 'statuses', '{"jobs": 4, "more": true}',
  'the sum is of what was counted');
SELECT is(tallymark.jobs_by_status(at_most => -1) - 'statuses', '{"jobs": 0, "more": true}', 'nothing is counted');

SELECT * FROM finish();
ROLLBACK;
