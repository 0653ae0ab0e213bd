-- The members that most updates do not have are validated wherever they appear: alone, and beside valid members.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(38);

CREATE FUNCTION pg_temp.taken(payload jsonb) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  PERFORM tallymark.merge_progress('job', payload);
  RETURN true;
EXCEPTION WHEN SQLSTATE 'TK400' THEN
  RETURN false;
END
$$;
DO $$ BEGIN PERFORM tallymark.create_job('job'); END $$;

SELECT is(pg_temp.taken(b.beside || jsonb_build_object(c.name, c.value)), false,
  format('%s is not taken as %s %s', left(c.value::text, 20), c.name, b.words))
FROM (VALUES (1, 'updateId', '5'::jsonb), (2, 'workerId', '""'), (3, 'counting', '"all"'), (4, 'error', '[]'),
  (5, 'progress', to_jsonb(repeat('x', 65535))), (6, 'areas', '[1]'), (7, 'timeline', '[1]'), (8, 'credentialStatus',
    '[]'),
  (9, 'processed', '-1'), (10, 'total', '"1"'), (11, 'groupCount', '0.5'), (12, 'projectCount', '9007199254740992'),
  (13, 'groupTotal', '{}'), (14, 'projectTotal', 'true'), (15, 'itemKeys', '{"pages": "a"}'),
  (16, 'foundByType', '{"pages": -1}'), (17, 'failedByType', '[]'), (18, 'skippedByType', '{"": 1}'),
  (19, 'totalsByType', '{"pages": 0.5}')) AS c (number, name, value)
CROSS JOIN (VALUES (1, '{}'::jsonb, 'alone'),
  (2, '{"status": "processing", "timestamp": "2025-01-06T10:00:00Z", "processedItems": 5,
    "itemsByType": {"issues": 1}}',
    'beside good members')) AS b (number, beside, words)
ORDER BY c.number, b.number;

SELECT * FROM finish();
ROLLBACK;
