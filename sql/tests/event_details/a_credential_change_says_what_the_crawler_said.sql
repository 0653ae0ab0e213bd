-- The timeline shows what an admin needs to know about a credential.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(2);

DO $$
BEGIN
  PERFORM tallymark.create_job('job');
  PERFORM tallymark.merge_progress('job', '{"timestamp": "2025-01-06T10:00:00Z", "status": "Credential_Expiry",
    "credentialStatus": {"type": "expiry", "providerId": "gitlab", "adminGuidance": ["renew it"]}}');
END
$$;
SELECT is(t.event || ' ' || t.details::text, 'credential_status_change {"status": "credential_expiry", '
  '"credentialStatus": '
  '{"type": "expiry", "providerId": "gitlab", "adminGuidance": ["renew it"]}}', 'the event') FROM
    tallymark.timeline('job') AS t;
SELECT is(j.progress -> 'credentialStatus' ->> 'providerId' || ' ' || j.status, 'gitlab credential_expired',
  'and the job') FROM tallymark.job AS j WHERE j.id = 'job';

SELECT * FROM finish();
ROLLBACK;
