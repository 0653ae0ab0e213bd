-- plain_acknowledgement gives the answer of acknowledgement, or null where there is more to say.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(7);
\ir ../helpers.psql

SELECT tallymark.create_job('job');

CREATE FUNCTION pg_temp.plain(payload jsonb, warnings jsonb DEFAULT '[]', command text DEFAULT NULL) RETURNS jsonb
LANGUAGE sql AS $$
  SELECT tallymark.plain_acknowledgement(j.id, command, 7, payload, warnings) FROM tallymark.job AS j
  WHERE j.id = 'job'
$$;

SELECT is(pg_temp.plain('{"status": "processing", "stage": "s"}'),
  tallymark.acknowledgement(pg_temp.row_of(), 7, false, '{"status": "processing", "stage": "s"}', '[]'),
  'progress has the plain answer');
SELECT is(pg_temp.plain('{"status": "processing"}') ->> 'message', 'Progress update acknowledged for task job',
  'with the message of the protocol');
SELECT is(pg_temp.plain('{"status": "started"}'), NULL, 'a start is told more');
SELECT is(pg_temp.plain('{"status": "credential_expiry"}'), NULL, 'so are credentials');
SELECT is(pg_temp.plain('{"status": "processing"}', '["a warning"]'), NULL, 'so is one with a warning');
SELECT is(pg_temp.plain('{"status": "processing"}', '[]', 'pause'), NULL, 'so is one with a command pending');
SELECT is(pg_temp.plain('{}'), NULL, 'without a status acknowledgement decides');

SELECT * FROM finish();
ROLLBACK;
