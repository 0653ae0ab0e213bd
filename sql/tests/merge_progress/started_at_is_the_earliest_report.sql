-- started_at is the time of the earliest report, whatever its status and however late it arrives.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(5);
\ir ../helpers.psql

CREATE FUNCTION pg_temp.start_after(payload jsonb) RETURNS timestamptz LANGUAGE sql
RETURN (SELECT j.started_at FROM pg_temp.job_after(payload) AS j);
DO $$ BEGIN PERFORM tallymark.create_job('job'); END $$;

SELECT is(started_at, NULL, 'a queued job has not begun') FROM tallymark.job WHERE id = 'job';
SELECT is(pg_temp.start_after('{"status": "processing", "timestamp": "2025-01-06T10:00:00Z"}'),
  '2025-01-06T10:00:00Z', 'the first report is the earliest');
SELECT is(pg_temp.start_after('{"status": "started", "timestamp": "2025-01-06T11:00:00Z"}'),
  '2025-01-06T10:00:00Z', 'a newer start does not move it');
SELECT is(pg_temp.start_after('{"status": "started", "timestamp": "2025-01-06T09:59:59.999999Z"}'),
  '2025-01-06T09:59:59.999999Z', 'one that arrives late does, to the microsecond');
SELECT is(pg_temp.start_after('{"status": "started", "timestamp": "2025-01-06T10:30:00+02:00"}'),
  '2025-01-06T08:30:00Z', 'offsets from UTC are understood');

SELECT * FROM finish();
ROLLBACK;
