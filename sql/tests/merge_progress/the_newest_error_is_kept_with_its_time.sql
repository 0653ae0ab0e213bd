-- error is the newest error given, and errorTimestamp the time of the update that gave it.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(9);
\ir ../helpers.psql

CREATE FUNCTION pg_temp.error_after(payload jsonb) RETURNS jsonb LANGUAGE sql
RETURN (SELECT jsonb_build_array(j.progress -> 'error', j.progress -> 'errorTimestamp')
  FROM pg_temp.job_after(payload) AS j);
DO $$ BEGIN PERFORM tallymark.create_job('job'); END $$;

SELECT is(pg_temp.error_after('{"status": "started", "timestamp": "2025-01-06T10:00:00Z"}'), '[null, null]',
  'no error yet');
SELECT is(pg_temp.error_after('{"timestamp": "2025-01-06T10:10:00Z", "error": "timeout"}'),
  '["timeout", "2025-01-06T10:10:00.000Z"]', 'a text, with the time of its update');
SELECT is(pg_temp.error_after('{"timestamp": "2025-01-06T10:05:00Z", "error": "older"}'),
  '["timeout", "2025-01-06T10:10:00.000Z"]', 'a late error changes neither');
SELECT is(pg_temp.error_after('{"timestamp": "2025-01-06T10:20:00.5Z", "error": {"type": "RateLimit",
  "context": {"page": 3}}}'),
  '[{"type": "RateLimit", "context": {"page": 3}}, "2025-01-06T10:20:00.500Z"]', 'an object, kept whole');
SELECT is(pg_temp.error_after('{"timestamp": "2025-01-06T10:30:00Z", "stage": "on"}') -> 1,
  '"2025-01-06T10:20:00.500Z"',
  'an update without an error changes neither');
SELECT is(pg_temp.error_after('{"status": "completed", "timestamp": "2025-01-06T10:31:00Z"}') -> 1,
  '"2025-01-06T10:20:00.500Z"', 'a completion does not take it away');
CREATE TEMPORARY TABLE ack AS SELECT tallymark.merge_progress('job',
  '{"timestamp": "2025-01-06T10:40:00Z", "errorTimestamp": "1999-01-01T00:00:00Z"}') AS it;
SELECT is(jsonb_array_length(it -> 'warnings'), 1,
  'an errorTimestamp of the crawler''s own is left out, with a warning') FROM ack;
SELECT is(progress ->> 'errorTimestamp', '2025-01-06T10:20:00.500Z', 'and does not change ours') FROM tallymark.job
WHERE id = 'job';
SELECT ok(tallymark.verify_job('job'), 'a fold of the ledger gives the same');

SELECT * FROM finish();
ROLLBACK;
