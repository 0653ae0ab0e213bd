-- The expression that is inlined sees only whether a rule of rare_event_kind can apply: both always say the same.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(22);

SELECT is(tallymark.event_kind(c.payload, s.changed), tallymark.rare_event_kind(c.payload, s.changed),
  format('%s, stage changed: %s', c.payload, s.changed))
FROM (VALUES (1, '{}'::jsonb), (2, '{"status": "processing"}'), (3, '{"status": "Processing"}'),
  (4, '{"status": "processing", "error": "e"}'), (5, '{"status": "processing", "areas": []}'),
  (6, '{"status": "processing", "operationType": "discovery"}'),
  (7, '{"status": "processing", "operationType": "data_collection", "stage": "s"}'), (8, '{"status": "completed"}'),
  (9, '{"status": "failed"}'), (10, '{"status": "credential_expiry"}'),
  (11, '{"operationType": "discovery"}')) AS c (number, payload)
CROSS JOIN (VALUES (false), (true)) AS s (changed)
ORDER BY c.number, s.changed;

SELECT * FROM finish();
ROLLBACK;
