-- An updateId that is used again for other content is a defect of the crawler: the first update stays, and the answer
-- warns.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(8);

DO $$
BEGIN
  PERFORM tallymark.create_job('job');
  PERFORM tallymark.merge_progress('job',
    '{"updateId": "u", "timestamp": "2025-01-06T10:00:00Z", "processedItems": 5}');
  PERFORM tallymark.merge_progress('job',
    '{"updateId": "v", "timestamp": "2025-01-06T10:01:00Z", "processedItems": 6}');
END
$$;
CREATE TEMPORARY TABLE ack AS SELECT tallymark.merge_progress('job',
  '{"updateId": "u", "timestamp": "2025-01-06T10:00:00Z", "processedItems": 50, "stage": "other"}') AS it;
SELECT is(it -> 'duplicate', 'true', 'it is a duplicate') FROM ack;
SELECT is(it -> 'seq', '1', 'with the seq of the first update') FROM ack;
SELECT is(jsonb_array_length(it -> 'warnings'), 1, 'with a warning') FROM ack;
SELECT alike(it -> 'warnings' ->> 0, '%updateId%', 'that names the updateId') FROM ack;
SELECT is(progress, '{"processedItems": 6}', 'the other content is not in the state') FROM tallymark.job
  WHERE id = 'job';
SELECT is(count(*), 2::bigint, 'nor is it in the ledger') FROM tallymark.job_event WHERE job_id = 'job';
SELECT is(tallymark.merge_progress('job', '{"processedItems": 5, "timestamp": "2025-01-06T10:00:00Z", "updateId": "u"}')
  -> 'warnings', '[]', 'the same content in another order of members is no cause for a warning');
SELECT is(tallymark.merge_progress('job',
  '{"processed": 5.0, "timestamp": "2025-01-06T10:00:00Z", "updateId": "u", "stage": null}')
  -> 'warnings', '[]', 'nor are members that are written in another way');

SELECT * FROM finish();
ROLLBACK;
