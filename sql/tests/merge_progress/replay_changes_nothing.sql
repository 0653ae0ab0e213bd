-- Sending any kind of update again, however much came after it, changes neither the row nor the ledger: a crawler may
-- retry blindly.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(18);
\ir ../helpers.psql

CREATE TEMPORARY TABLE sent (number integer, what text, payload jsonb);
INSERT INTO sent VALUES
  (1, 'a start', '{"status": "started", "timestamp": "2025-01-06T10:00:00Z", "totalItems": 500}'),
  (2, 'increments with an updateId', '{"status": "processing", "timestamp": "2025-01-06T10:01:00Z", "updateId": "u-1",
    "itemsByType": {"issues": 5}}'),
  (3, 'a worker''s running total', '{"status": "processing", "timestamp": "2025-01-06T10:02:00Z", "workerId": "w1",
    "processedItems": 30, "counting": "cumulative", "itemsByType": {"issues": 7}}'),
  (4, 'legacy names', '{"status": "processing", "timestamp": "2025-01-06T10:03:00Z", "processed": 40,
    "groupCount": 3}'),
  (5, 'an error', '{"status": "failed", "timestamp": "2025-01-06T10:04:00Z", "error": {"type": "E", "message": "m"}}'),
  (6, 'own events', '{"status": "started", "timestamp": "2025-01-06T10:05:00Z", "timeline": [
    {"timestamp": "2025-01-06T10:05:00Z", "event": "note", "details": {"a": 1}}]}'),
  (7, 'a completion', '{"status": "completed", "timestamp": "2025-01-06T10:06:00Z", "progress": {"page": 3}}'),
  (8, 'an update of the future', '{"status": "processing", "timestamp": "2999-01-06T10:06:00Z",
    "itemsByType": {"commits": 2}}'),
  (9, 'an updateId without a timestamp', '{"updateId": "u-2", "itemsByType": {"commits": 2}}');

DO $$
DECLARE
  v_payload jsonb;
BEGIN
  PERFORM tallymark.create_job('job');
  FOR v_payload IN SELECT s.payload FROM sent AS s ORDER BY s.number LOOP
    PERFORM tallymark.merge_progress('job', v_payload);
  END LOOP;
END
$$;
CREATE TEMPORARY TABLE before AS SELECT pg_temp.all_of_it() AS state;

SELECT is(tallymark.merge_progress('job', s.payload) -> 'duplicate', 'true', s.what || ' is recognised as a duplicate')
FROM (SELECT * FROM sent ORDER BY number) AS s;
SELECT ok(tallymark.merge_progress('job', s.payload) IS NOT NULL AND pg_temp.all_of_it() = b.state,
  s.what || ', sent once more, has changed nothing')
FROM (SELECT * FROM sent ORDER BY number DESC) AS s, before AS b;

SELECT * FROM finish();
ROLLBACK;
