-- Where the ledger no longer gives the stored state, verify_job is false and verify_differences names the event.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(16);
\ir ../helpers.psql

DO $$ BEGIN PERFORM pg_temp.make_job_of_every_sort(); END $$;
CREATE FUNCTION pg_temp.update_ledger(change text, at bigint) RETURNS text LANGUAGE sql
RETURN pg_temp.differences(
  format($$ UPDATE tallymark.job_event SET %s WHERE job_id = 'job' AND seq = %s $$, change, at), numbered => true);

SELECT is(pg_temp.update_ledger('seq = seq', 1), 'true', 'as it is, the ledger gives the state');
SELECT alike(pg_temp.update_ledger(c.change, c.at), 'false %' || c.found || '%', c.words)
FROM (VALUES
  (1, 'payload = payload || ''{"processedItems": 101}''', 2, '4/processedItems', 'another count'),
  (2, 'payload = payload || ''{"itemsByType": {"issues": 74}}''', 2, '4/itemsByType', 'another increment'),
  (3, 'payload = payload - ''stage''', 2, '/stage', 'a field that is gone'),
  (4, 'payload = payload || ''{"more": 1}''', 3, '3/more', 'a field that is new'),
  (5, 'payload = payload || ''{"status": "failed"}''', 6, '/status', 'another status'),
  (6, 'payload = NULL', 2, '/stage', 'an update that is gone'),
  (7, 'occurred_at = occurred_at - ''1h''::interval', 2, '/started_at', 'another time'),
  (8, 'seq = 77', 6, '6/seq', 'a gap at the end'),
  (9, 'update_key = ''=other''', 2, '2/updateId', 'another key'),
  (10, 'payload = payload || ''{"updateId": "other"}''', 2, '2/updateId', 'another updateId')) AS c (number, change,
    at, found, words)
ORDER BY c.number;
SELECT alike(pg_temp.differences($$ DELETE FROM tallymark.job_event WHERE job_id = 'job' AND seq = $$ || c.at,
  numbered => true), 'false %' || c.found || '%', c.words)
FROM (VALUES (1, 1, '1/seq', 'the first event is gone'), (2, 3, '3/seq', 'one in the middle is gone'),
  (3, 5, '5/seq', 'an event of the crawler''s own is gone'), (4, 6, '/last_seq', 'the last event is gone'))
    AS c (number, at, found, words)
ORDER BY c.number;
SELECT alike(pg_temp.update_ledger('payload = payload || ''{"processedItems": "many"}''', 2), 'false %',
  'an update that no crawler could have sent is a difference, not an error');

SELECT * FROM finish();
ROLLBACK;
