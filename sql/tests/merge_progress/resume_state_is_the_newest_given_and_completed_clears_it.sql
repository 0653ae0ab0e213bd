-- resume_state is the newest progress given. A job that has completed has nothing to resume.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(12);
\ir ../helpers.psql

CREATE FUNCTION pg_temp.resume_after(payload jsonb) RETURNS jsonb LANGUAGE sql
RETURN (SELECT j.resume_state FROM pg_temp.job_after(payload) AS j);
DO $$ BEGIN PERFORM tallymark.create_job('job'); END $$;

SELECT is(pg_temp.resume_after('{"timestamp": "2025-01-06T10:10:00Z", "progress": {"page": 1}}'), '{"page": 1}',
  'kept');
SELECT is(pg_temp.resume_after('{"timestamp": "2025-01-06T10:05:00Z", "progress": {"page": 0}}'), '{"page": 1}',
  'a late one does not move it');
SELECT is(pg_temp.resume_after('{"timestamp": "2025-01-06T10:11:00Z", "stage": "s"}'), '{"page": 1}',
  'an update without one leaves it');
SELECT is(pg_temp.resume_after('{"timestamp": "2025-01-06T10:12:00Z", "progress": "any JSON"}'), '"any JSON"',
  'it replaces, and need not be an object');
SELECT is(pg_temp.resume_after('{"timestamp": "2025-01-06T10:13:00Z", "status": "failed"}'), '"any JSON"',
  'a failure leaves it: there is something to resume');
SELECT is(pg_temp.resume_after('{"timestamp": "2025-01-06T10:20:00Z", "status": "completed", "progress": {"page": 9}}'),
  NULL, 'completed clears it, also when it gives one');
SELECT is(pg_temp.resume_after('{"timestamp": "2025-01-06T10:15:00Z", "progress": {"page": 5}}'), NULL,
  'one from before the completion does not bring it back');
SELECT is(pg_temp.resume_after('{"timestamp": "2025-01-06T10:30:00Z", "status": "started", "progress": {"page": 2}}'),
  '{"page": 2}', 'one from after a restart is kept');
SELECT is(pg_temp.resume_after('{"timestamp": "2025-01-06T10:25:00Z", "status": "completed"}'), '{"page": 2}',
  'a completion that arrives late does not clear what came after it');
SELECT is(pg_temp.resume_after('{"timestamp": "2025-01-06T10:40:00Z", "status": "completed"}'), NULL,
  'one that says nothing of it clears it as well');
SELECT is(pg_temp.resume_after('{"timestamp": "2025-01-06T10:35:00Z", "progress": {"page": 8}}'), NULL,
  'for good: what is older does not come back');
SELECT ok(NOT progress ? 'progress', 'it is not part of the merged progress') FROM tallymark.job WHERE id = 'job';

SELECT * FROM finish();
ROLLBACK;
