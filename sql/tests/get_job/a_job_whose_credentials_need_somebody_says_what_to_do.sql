-- The guidance that the acknowledgement gives the crawler is also in the job, while its status is about credentials.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(6);

CREATE FUNCTION pg_temp.report(status text, at timestamptz) RETURNS jsonb LANGUAGE sql AS $$
  SELECT tallymark.merge_progress('job', jsonb_build_object('status', status, 'timestamp', at,
    'credentialStatus', '{"providerId": "gitlab", "adminGuidance": ["own"]}'::jsonb)) -> 'credentialGuidance'
$$;

DO $$
BEGIN
  PERFORM tallymark.create_job('job');
  PERFORM tallymark.merge_progress('job', '{"status": "started", "timestamp": "2025-01-06T10:00:00Z"}');
END
$$;

SELECT ok(NOT tallymark.get_job('job') ? 'credentialGuidance', 'no guidance while the credentials work');
CREATE TEMPORARY TABLE told ON COMMIT DROP AS SELECT pg_temp.report('credential_expiry',
  '2025-01-06T10:01:00Z') AS lines;
SELECT is(tallymark.get_job('job') -> 'credentialGuidance', t.lines,
  'the guidance is that of the acknowledgement') FROM told AS t;
SELECT is(tallymark.get_job('job') -> 'credentialGuidance' ->> 0, 'own', 'the crawler''s own lines go first');
UPDATE told SET lines = pg_temp.report('credential_renewal', '2025-01-06T10:02:00Z');
SELECT is(tallymark.get_job('job') -> 'credentialGuidance', t.lines, 'also while it waits for new ones') FROM told AS t;
UPDATE told SET lines = pg_temp.report('credential_resumed', '2025-01-06T10:03:00Z');
SELECT is(tallymark.get_job('job') -> 'credentialGuidance', t.lines, 'and when it has them') FROM told AS t;
DO $$
BEGIN
  PERFORM tallymark.merge_progress('job', '{"status": "processing", "timestamp": "2025-01-06T10:04:00Z"}');
END
$$;
SELECT ok(NOT tallymark.get_job('job') ? 'credentialGuidance', 'no guidance once the job continues');

SELECT * FROM finish();
ROLLBACK;
