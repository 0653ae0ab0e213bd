-- The example of the overview: 100 and 5, 20, 75 items, then 150 and 50 more, give 150 and 5, 20, 125. Sending the
-- second update again, as after a lost answer, leaves row and ledger as they are.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(9);

CREATE FUNCTION pg_temp.report(payload jsonb) RETURNS jsonb LANGUAGE sql
RETURN tallymark.merge_progress('seed', payload);

DO $$
BEGIN
  PERFORM tallymark.create_job('seed');
  PERFORM pg_temp.report('{"taskId": "seed", "status": "processing", "timestamp": "2025-01-06T19:15:00.000Z",
    "processedItems": 100, "itemsByType": {"groups": 5, "projects": 20, "issues": 75}}');
END
$$;
CREATE TEMPORARY TABLE ack AS SELECT pg_temp.report('{"taskId": "seed", "status": "processing",
  "timestamp": "2025-01-06T19:15:30.000Z", "processedItems": 150, "itemsByType": {"issues": 50}}') AS first;
CREATE TEMPORARY TABLE before AS SELECT j.* FROM tallymark.job AS j WHERE j.id = 'seed';
CREATE TEMPORARY TABLE ledger_before AS SELECT e.* FROM tallymark.job_event AS e WHERE e.job_id = 'seed';

SELECT is(progress -> 'processedItems', '150', 'processedItems is the higher of the two') FROM before;
SELECT is(progress -> 'itemsByType', '{"groups": 5, "projects": 20, "issues": 125}',
  'types the second update does not name are preserved, the one it names is accumulated') FROM before;
SELECT is(first -> 'seq', '2', 'the second update is the second event') FROM ack;
SELECT is(first -> 'duplicate', 'false', 'and no duplicate') FROM ack;

CREATE TEMPORARY TABLE again AS SELECT pg_temp.report('{"taskId": "seed", "status": "processing",
  "timestamp": "2025-01-06T19:15:30.000Z", "processedItems": 150, "itemsByType": {"issues": 50}}') AS ack;
SELECT is(ack -> 'duplicate', 'true', 'the same call again is a duplicate') FROM again;
SELECT is(ack -> 'seq', '2', 'with the number it got the first time') FROM again;
SELECT is(ack -> 'warnings', '[]', 'and nothing to warn of') FROM again;
SELECT results_eq($$ SELECT j.* FROM tallymark.job AS j WHERE j.id = 'seed' $$, 'SELECT * FROM before',
  'not one column of the row has changed');
SELECT results_eq($$ SELECT e.* FROM tallymark.job_event AS e WHERE e.job_id = 'seed' ORDER BY e.seq $$,
  'SELECT * FROM ledger_before ORDER BY seq', 'nor has the ledger');

SELECT * FROM finish();
ROLLBACK;
