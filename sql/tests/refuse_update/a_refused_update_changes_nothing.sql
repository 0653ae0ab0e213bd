-- Nothing of a refused update is kept: row and ledger are as before, and the next number is not used up.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(9);
\ir ../helpers.psql

CREATE FUNCTION pg_temp.refused(payload jsonb) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  PERFORM tallymark.merge_progress('job', payload);
  RETURN false;
EXCEPTION WHEN SQLSTATE 'TK400' OR SQLSTATE 'TK413' THEN
  RETURN true;
END
$$;
DO $$
BEGIN
  PERFORM tallymark.create_job('job');
  PERFORM tallymark.merge_progress('job',
    '{"status": "processing", "timestamp": "2025-01-06T10:00:00Z", "updateId": "u",
    "processedItems": 5, "itemsByType": {"issues": 5}}');
END
$$;
CREATE TEMPORARY TABLE before AS SELECT pg_temp.all_of_it() AS state;

SELECT ok(pg_temp.refused(c.payload) AND pg_temp.all_of_it() = b.state, c.words)
FROM before AS b, (VALUES
  (1, '{"itemsByType": {"issues": 1, "commits": -1}}'::jsonb, 'one bad count among good ones'),
  (2, '{"status": "completed", "processedItems": 10, "totalItems": 5}', 'more processed than there are'),
  (3, '{"status": "no", "updateId": "v", "stage": "s"}', 'a status that is not known'),
  (4, '{"updateId": "u", "stage": 5}', 'an updateId that was used, with a bad field'),
  (5, '{"stage": "s", "timeline": [{"event": "good", "timestamp": "2025-01-06"}, {}]}', 'a bad event among good ones'),
  (6, '[]', 'what is no update at all'),
  (7, jsonb_build_object('stage', 's', 'x', repeat('y', 1048576)), 'an update that is too large')) AS c (number,
    payload, words)
ORDER BY c.number;
SELECT is(tallymark.merge_progress('job', '{"status": "failed", "updateId": "v"}') -> 'seq', '2',
  'the next good update has the next number, and an updateId that was refused is free');
SELECT ok(tallymark.verify_job('job'), 'and the ledger folds to the state');

SELECT * FROM finish();
ROLLBACK;
