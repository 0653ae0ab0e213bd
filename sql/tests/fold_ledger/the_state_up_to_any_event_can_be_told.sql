-- The ledger alone gives the state, as it is now and as it was after any event, without the row.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(5);

CREATE TEMPORARY TABLE state (seq bigint, row_then jsonb);
DO $$
DECLARE
  v_update jsonb;
BEGIN
  PERFORM tallymark.create_job('job');
  FOR v_update IN SELECT u.value FROM jsonb_array_elements('[
    {"timestamp": "2025-01-06T10:00:00Z", "status": "started", "stage": "a"},
    {"timestamp": "2025-01-06T10:05:00Z", "processedItems": 5, "itemsByType": {"issues": 5}, "stage": "b"},
    {"timestamp": "2025-01-06T10:04:00Z", "workerId": "w", "processedItems": 5, "stage": "late", "message": "m"}]') AS u
  LOOP
    PERFORM tallymark.merge_progress('job', v_update);
    INSERT INTO state SELECT j.last_seq, to_jsonb(j) - '{attributes,requested_command,created_at,updated_at}'::text[]
    FROM tallymark.job AS j WHERE j.id = 'job';
  END LOOP;
END
$$;
SELECT is(to_jsonb(tallymark.fold_ledger('job', s.seq)) -
  '{attributes,requested_command,created_at,updated_at}'::text[],
  s.row_then, 'the state as it was after event ' || s.seq) FROM state AS s;
SELECT is(to_jsonb(tallymark.fold_ledger('job')) - '{attributes,requested_command,created_at,updated_at}'::text[],
  s.row_then, 'the state of now') FROM state AS s WHERE s.seq = 3;
UPDATE tallymark.job SET progress = '{}', status = 'failed' WHERE id = 'job';
SELECT is((tallymark.fold_ledger('job')).status, 'running', 'whatever the row says');

SELECT * FROM finish();
ROLLBACK;
