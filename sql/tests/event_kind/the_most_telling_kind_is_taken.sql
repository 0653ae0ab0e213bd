-- Each update is one event of the most telling kind: error, completion, credential_status_change, discovery_progress,
-- stage_change, progress_update, in this order.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(17);

CREATE FUNCTION pg_temp.event_of(payload jsonb) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  v_job CONSTANT text := gen_random_uuid()::text;
BEGIN
  PERFORM tallymark.create_job(v_job);
  PERFORM tallymark.merge_progress(v_job, '{"timestamp": "2025-01-06T09:00:00Z", "stage": "before"}');
  PERFORM tallymark.merge_progress(v_job, payload || '{"timestamp": "2025-01-06T10:00:00Z"}');
  RETURN (SELECT string_agg(e.event, ' ' ORDER BY e.seq) FROM tallymark.job_event AS e WHERE e.job_id = v_job
    AND e.seq > 1);
END
$$;

SELECT is(pg_temp.event_of(c.payload), c.event, format('%s: %s', c.event, c.payload))
FROM (VALUES
  (1, '{"status": "failed", "error": "e", "stage": "after", "operationType": "discovery"}'::jsonb, 'error'),
  (2, '{"status": "failed"}', 'error'),
  (3, '{"status": "Failed"}', 'error'),
  (4, '{"status": "completed", "error": "e"}', 'error'),
  (5, '{"status": "credential_expiry", "error": {"type": "e"}}', 'error'),
  (6, '{"status": "processing", "error": "e", "operationType": "discovery"}', 'error'),
  (7, '{"status": "completed", "stage": "after", "operationType": "discovery"}', 'completion'),
  (8, '{"status": "COMPLETED"}', 'completion'),
  (9, '{"status": "credential_renewal", "stage": "after", "operationType": "discovery"}', 'credential_status_change'),
  (10, '{"status": "credential_expiry"}', 'credential_status_change'),
  (11, '{"status": "credential_resumed"}', 'credential_status_change'),
  (12, '{"status": "processing", "stage": "after", "operationType": "discovery"}', 'discovery_progress'),
  (13, '{"status": "started", "stage": "after", "operationType": "finalization"}', 'stage_change'),
  (14, '{"stage": "after"}', 'stage_change'),
  (15, '{"status": "processing", "stage": "before", "operationType": "data_collection"}', 'progress_update'),
  (16, '{"status": "paused", "processedItems": 5}', 'progress_update'),
  (17, '{}', 'progress_update')) AS c (number, payload, event)
ORDER BY c.number;

SELECT * FROM finish();
ROLLBACK;
