-- A ledger that was tampered with so that it cannot even be folded is a difference: verify_job must not be true where
-- it could not check.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(8);

DO $$
BEGIN
  PERFORM tallymark.create_job('job');
  PERFORM tallymark.merge_progress('job', '{"updateId": "a", "timestamp": "2025-01-06T10:00:00Z", "processedItems": 1,
    "areas": [{"fullPath": "g", "type": "group"}]}');
  PERFORM tallymark.request_command('job', 'pause');
END
$$;
CREATE FUNCTION pg_temp.verified(seq integer, change text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  v_verified text;
BEGIN
  EXECUTE format($q$ UPDATE tallymark.job_event SET %s WHERE job_id = 'job' AND seq = %s $q$, change, seq);
  v_verified := tallymark.verify_job('job')::text || ' '
    || (SELECT count(*) > 0 FROM tallymark.verify_differences('job') AS d);
  RAISE EXCEPTION USING ERRCODE = 'ZZ000', MESSAGE = v_verified;
EXCEPTION WHEN SQLSTATE 'ZZ000' THEN
  RETURN SQLERRM;
END
$$;
SELECT is(pg_temp.verified(c.seq, c.change), 'false true', c.change)
FROM (VALUES (1, 1, $$payload = '[]'$$), (2, 1, $$payload = payload || '{"processedItems": "x"}'$$), (3, 1,
  $$payload = payload || '{"areas": 7}'$$),
  (4, 1, $$payload = payload || '{"areas": [7]}'$$), (5, 1, $$payload = payload || '{"lastAreasDiscovery": [7]}'$$),
  (6, 2, $$details = details || '{"after": "the day before"}'$$), (7, 2,
    $$details = '{"command": "pause", "after": ""}'$$),
  (8, 2, $$details = '{"command": "dance"}'$$)) AS c (number, seq, change) ORDER BY c.number;

SELECT * FROM finish();
ROLLBACK;
