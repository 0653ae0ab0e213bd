-- The details of an event have the original's names, and hold what the update gave rather than the resulting state of
-- the job.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(12);

CREATE FUNCTION pg_temp.details_of(payload jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  v_seq CONSTANT bigint := tallymark.merge_progress('job', payload || jsonb_build_object('updateId',
    gen_random_uuid())) -> 'seq';
BEGIN
  RETURN (SELECT t.details FROM tallymark.timeline('job', v_seq - 1, 1) AS t);
END
$$;
DO $$ BEGIN PERFORM tallymark.create_job('job'); END $$;

SELECT is(pg_temp.details_of('{"status": "PROCESSING", "processedItems": 150, "totalItems": 500,
  "currentDataType": "issues",
  "operationType": "data_collection", "itemsByType": {"issues": 50}, "lastProcessedId": "x", "message": "m",
    "workerId": "w"}'),
  '{"status": "processing", "processedItems": 150, "totalItems": 500, "currentDataType": "issues",
  "operationType": "data_collection", "itemsByType": {"issues": 50}, "lastProcessedId": "x", "message": "m",
    "workerId": "w"}',
  'the members of an update, the status in small letters');
SELECT is(pg_temp.details_of('{"status": "Waiting", "waitUntil": "2025-01-06T10:00:00Z", "reason": "rate limit"}'),
  '{"status": "waiting", "waitUntil": "2025-01-06T10:00:00Z", "reason": "rate limit"}', 'until when and for what it waits');
SELECT is(pg_temp.details_of('{"status": "paused", "reason": {"of": "its own"}}'), '{"status": "paused"}',
  'with another status that is a field of the crawler''s own');
SELECT is(pg_temp.details_of('{"processed": 3, "total": 9, "stage": null}'),
  '{"status": "processing", "processedItems": 3, "totalItems": 9}', 'legacy names under the new ones, and no nulls');
SELECT is(pg_temp.details_of('{"itemsByType": {"issues": 1}}') -> 'itemsByType', '{"issues": 1}',
  'the increment, not the sum');
SELECT is(pg_temp.details_of('{"status": "failed", "error": {"type": "RateLimit", "message": "slow down", "code": 429,
  "stack": "at x", "context": {"page": 3, "retry": null}}}'), '{"status": "failed", "errorType": "RateLimit",
  "errorMessage": "slow down", "errorCode": 429, "stack": "at x", "context": {"page": 3, "retry": null}}',
    'an error object');
SELECT is(pg_temp.details_of('{"status": "failed", "error": "slow down"}'),
  '{"status": "failed", "errorMessage": "slow down"}', 'an error text');
SELECT is(pg_temp.details_of('{"status": "failed", "error": {"type": null, "message": "m"}}'),
  '{"status": "failed", "errorMessage": "m"}', 'an error that gives its message only');
SELECT is(pg_temp.details_of('{"status": "credential_expiry", "credentialStatus": {"type": "expiry",
  "severity": "high"}}'),
  '{"status": "credential_expiry", "credentialStatus": {"type": "expiry", "severity": "high"}}',
    'a credential''s status');
SELECT is(pg_temp.details_of('{"foundByType": {"notes": 3}, "failedByType": {"notes": 1}, "skippedByType": {"notes": 1},
  "totalsByType": {"notes": 9}}'), '{"status": "processing", "foundByType": {"notes": 3}, "failedByType": {"notes": 1},
  "skippedByType": {"notes": 1}, "totalsByType": {"notes": 9}}', 'what balances the books');
SELECT is(pg_temp.details_of('{"status": "completed"}') -> 'shortfall', '{"notes": 7}', 'an end says what is missing');
SELECT is(pg_temp.details_of('{}'), '{"status": "processing"}', 'an empty update');

SELECT * FROM finish();
ROLLBACK;
