-- Where several kinds fit, areas and credentials included, the most telling is used.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(9);

SELECT is(tallymark.event_kind(c.payload, true), c.kind, c.payload::text)
FROM (VALUES (1, '{"areas": []}'::jsonb, 'areas_discovered'), (2, '{"areas": [], "operationType": "discovery"}',
  'areas_discovered'),
  (3, '{"areas": [], "status": "started"}', 'areas_discovered'), (4, '{"areas": [], "status": "paused"}',
    'areas_discovered'),
  (5, '{"areas": [], "status": "credential_expiry"}', 'credential_status_change'), (6,
    '{"areas": [], "status": "completed"}', 'completion'),
  (7, '{"areas": [], "status": "Credential_Resumed", "error": "e"}', 'error'), (8, '{"areas": [], "status": "failed"}',
    'error'),
  (9, '{"credentialStatus": {}}', 'stage_change')) AS c (number, payload, kind) ORDER BY c.number;

SELECT * FROM finish();
ROLLBACK;
