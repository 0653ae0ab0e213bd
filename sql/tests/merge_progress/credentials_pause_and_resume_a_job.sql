-- The credential statuses give job statuses that end with the next processing update.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(6);
\ir ../helpers.psql

CREATE FUNCTION pg_temp.status_after(status text, minute integer) RETURNS text LANGUAGE sql
RETURN (SELECT j.status
  FROM pg_temp.job_after(jsonb_build_object('status', status,
    'timestamp', format('2025-01-06T10:%s:00Z', minute), 'credentialStatus', jsonb_build_object('type', status))) AS j);
DO $$ BEGIN PERFORM tallymark.create_job('job'); END $$;

SELECT is(pg_temp.status_after('credential_expiry', 10), 'credential_expired', 'expired');
SELECT is(pg_temp.status_after('credential_renewal', 11), 'waiting_credential_renewal', 'waiting to be renewed');
SELECT is(pg_temp.status_after('credential_resumed', 12), 'credential_renewed', 'renewed');
SELECT is(progress -> 'credentialStatus', '{"type": "credential_resumed"}', 'the newest credentialStatus is kept')
FROM tallymark.job WHERE id = 'job';
SELECT is(finished_at, NULL, 'none of this ends the job') FROM tallymark.job WHERE id = 'job';
SELECT is(pg_temp.status_after('processing', 13), 'running', 'the next processing: it runs');

SELECT * FROM finish();
ROLLBACK;
