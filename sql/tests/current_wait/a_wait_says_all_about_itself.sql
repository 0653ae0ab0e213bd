-- The end and the reason of an earlier wait are not shown for a later one, in whatever order the two arrive.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(11);
\ir ../helpers.psql

DO $$
BEGIN
  PERFORM tallymark.create_job(j) FROM unnest('{forth,back}'::text[]) AS j;
  PERFORM tallymark.merge_progress('forth', '{"status": "waiting", "timestamp": "2025-01-06T10:01:00Z",
    "reason": "rate limit", "waitUntil": "2025-01-06T10:02:00Z"}');
  PERFORM tallymark.merge_progress(j, '{"status": "waiting", "timestamp": "2025-01-06T10:05:00Z", "message": "m"}')
  FROM unnest('{forth,back}'::text[]) AS j;
  PERFORM tallymark.merge_progress('back', '{"status": "waiting", "timestamp": "2025-01-06T10:01:00Z",
    "reason": "rate limit", "waitUntil": "2025-01-06T10:02:00Z"}');
END
$$;
CREATE FUNCTION pg_temp.wait_of(id text) RETURNS jsonb LANGUAGE sql
RETURN tallymark.current_wait(pg_temp.row_of(id));
SELECT is(pg_temp.wait_of(j), '{"until": null, "reason": null}', j || ': the later wait gave neither')
FROM unnest('{forth,back}'::text[]) AS j;
SELECT is(j.progress, '{"message": "m", "reason": "rate limit", "waitUntil": "2025-01-06T10:02:00Z"}',
  j.id || ': the newest value of each field stays') FROM tallymark.job AS j WHERE j.id IN ('forth', 'back');
SELECT ok(tallymark.verify_job(j), j || ' verifies') FROM unnest('{forth,back}'::text[]) AS j;
DO $$ BEGIN PERFORM tallymark.merge_progress('forth', '{"status": "waiting", "timestamp": "2025-01-06T10:06:00Z",
  "reason": "maintenance"}'); END $$;
SELECT is(pg_temp.wait_of('forth'), '{"until": null, "reason": "maintenance"}', 'the next one gives its own');
SELECT is(tallymark.get_job('forth') -> 'wait', '{"until": null, "reason": "maintenance"}', 'the job''s document has it');
SELECT is(tallymark.job_at('forth', 1) -> 'wait', '{"until": "2025-01-06T10:02:00Z", "reason": "rate limit"}',
  'also as it was');
DO $$ BEGIN PERFORM tallymark.merge_progress('forth', '{"status": "processing", "timestamp": "2025-01-06T10:07:00Z"}'); END $$;
SELECT is(pg_temp.wait_of('forth'), NULL, 'processing ends a wait');
SELECT ok(NOT tallymark.get_job('forth') ? 'wait', 'then the document has none');

SELECT * FROM finish();
ROLLBACK;
