-- The ledger keeps updates in one form, so that a fold, even after years, need not know the legacy names.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(6);

CREATE FUNCTION pg_temp.recorded(payload jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  v_seq CONSTANT bigint := tallymark.merge_progress('job', payload) -> 'seq';
BEGIN
  RETURN (SELECT e.payload FROM tallymark.job_event AS e WHERE e.job_id = 'job' AND e.seq = v_seq);
END
$$;
DO $$ BEGIN PERFORM tallymark.create_job('job'); END $$;

SELECT is(pg_temp.recorded('{"processed": 1, "total": 2, "stage": null}'), '{"processedItems": 1, "totalItems": 2}',
  'under the new names, without nulls');
SELECT is(pg_temp.recorded('{"processed": 9, "processedItems": 1, "total": 9, "totalItems": 2}'),
  '{"processedItems": 1, "totalItems": 2}', 'once');
SELECT is(length(pg_temp.recorded(jsonb_build_object('message', repeat('x', 3000))) ->> 'message'), 1000,
  'with long texts cut');
SELECT is(pg_temp.recorded('{"errorTimestamp": "x", "lastAreasDiscovery": {}, "own": [null]}'), '{"own": [null]}',
  'without what is derived from the updates');
SELECT is(pg_temp.recorded('{"groupCount": 3, "groupTotal": 4}'), '{"groupCount": 3, "groupTotal": 4}',
  'what has a meaning of its own stays');
SELECT is(pg_temp.recorded('{"status": "processing", "workerId": "w", "updateId": "u"}'),
  '{"status": "processing", "workerId": "w", "updateId": "u"}', 'what says who and how stays, too');

SELECT * FROM finish();
ROLLBACK;
