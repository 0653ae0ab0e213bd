-- The status of a job is that of its newest update: a late update does not revive a job, a restart does.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(15);
\ir ../helpers.psql

CREATE FUNCTION pg_temp.status_after(status text, minute integer) RETURNS text LANGUAGE sql
RETURN (SELECT j.status || coalesce(' at ' || to_char(j.finished_at AT TIME ZONE 'UTC', 'MI'), '')
  FROM pg_temp.job_after(jsonb_build_object('status', status,
    'timestamp', format('2025-01-06T10:%s:00Z', lpad(minute::text, 2, '0')))) AS j);
DO $$ BEGIN PERFORM tallymark.create_job('job'); END $$;

SELECT is(status, 'queued', 'a job nobody has reported on is queued') FROM tallymark.job WHERE id = 'job';
SELECT is(pg_temp.status_after('started', 10), 'running', 'started: it runs');
SELECT is(pg_temp.status_after('paused', 11), 'paused', 'paused');
SELECT is(pg_temp.status_after('processing', 12), 'running', 'processing: it runs again');
SELECT is(pg_temp.status_after('completed', 20), 'finished at 20',
  'completed: it has finished, at the time of the update');
SELECT is(pg_temp.status_after('processing', 15), 'finished at 20', 'a late processing does not revive it');
SELECT is(pg_temp.status_after('started', 16), 'finished at 20', 'nor does a late start');
SELECT is(pg_temp.status_after('failed', 19), 'finished at 20', 'nor does a late failure change how it ended');
SELECT is(pg_temp.status_after('started', 30), 'running', 'a newer start is a restart: it runs, and has no end');
SELECT is(pg_temp.status_after('failed', 40), 'failed at 40', 'and may fail');
SELECT is(pg_temp.status_after('started', 41), 'running', 'and be restarted');
SELECT is(pg_temp.status_after('cancelled', 42), 'cancelled at 42', 'or be cancelled');
SELECT is(pg_temp.status_after('completed', 39), 'cancelled at 42', 'a late completion does not take that back');
SELECT is(to_char(started_at AT TIME ZONE 'UTC', 'HH24:MI'), '10:10', 'it began with the earliest report')
FROM tallymark.job WHERE id = 'job';
SELECT ok(tallymark.verify_job('job'), 'a fold of the ledger gives the same');

SELECT * FROM finish();
ROLLBACK;
