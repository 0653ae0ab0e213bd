-- The original's crawlers and admins read these texts, so they must not change.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(11);

DO $$ BEGIN PERFORM tallymark.create_job('job'), tallymark.create_job('50%s \ é'); END $$;
CREATE FUNCTION pg_temp.ack(payload jsonb, job text DEFAULT 'job') RETURNS jsonb LANGUAGE sql AS
  $$ SELECT tallymark.merge_progress($2, $1) $$;
SELECT is(pg_temp.ack(c.payload) ->> 'message', c.message, c.payload ->> 'status')
FROM (VALUES
  (1, '{"status": "CREDENTIAL_EXPIRY"}'::jsonb, 'Credential status update processed for task job: credential_expiry'),
  (2, '{"status": "credential_renewal"}', 'Credential status update processed for task job: credential_renewal'),
  (3, '{"status": "credential_resumed"}', 'Credential status update processed for task job: credential_resumed'),
  (4, '{"status": "New_Areas_Discovered", "areas": [{"fullPath": "a", "type": "GROUP"}, {"fullPath": "b", "type": '
    '"x"}]}',
    'Areas discovery processed for task job: 1 groups, 0 projects'),
  (5, '{"status": "processing", "areas": [], "credentialStatus": {}}', 'Progress update acknowledged for task job')) AS
    c (number, payload, message)
ORDER BY c.number;
SELECT is(pg_temp.ack('{"status": "credential_expiry", "updateId": "u", "credentialStatus": {"adminGuidance": ["renew '
  'it"]}}')
  #>> '{credentialGuidance,0}', 'renew it', 'guidance begins with the crawler''s own');
SELECT is(pg_temp.ack('{"status": "credential_expiry", "updateId": "u", "credentialStatus": {"adminGuidance": ["renew '
  'it"]}}')
  #>> '{credentialGuidance,0}', 'renew it', 'the guidance of a duplicate, too');
SELECT is(pg_temp.ack('{"status": "processing", "credentialStatus": {"adminGuidance": ["renew it"]}}') ?
  'credentialGuidance', false,
  'other statuses have no guidance');
SELECT is(pg_temp.ack('{"status": "new_areas_discovered", "areas": []}', '50%s \ é') ->> 'message',
  'Areas discovery processed for task 50%s \ é: 0 groups, 0 projects', 'an id is a text, whatever its characters');
DO $$ BEGIN PERFORM tallymark.request_command('job', 'cancel'); END $$;
SELECT is(pg_temp.ack('{"status": "credential_expiry"}') ->> 'command', 'cancel',
  'the command is in the answer about credentials');
SELECT is(pg_temp.ack('{"status": "new_areas_discovered", "areas": []}') ->> 'command', 'cancel',
  'and in the answer about areas');

SELECT * FROM finish();
ROLLBACK;
