-- Repeated calls reach the end, and the newest events are found as before.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(3);

SELECT tallymark.create_job('summary of mine');
SELECT tallymark.merge_progress('summary of mine', jsonb_build_object('updateId', n::text, 'message', repeat('m', 900)))
FROM generate_series(1, 600) AS n;
CREATE TEMPORARY TABLE calls AS
WITH RECURSIVE call AS (
  SELECT 1 AS number, tallymark.resummarize_ledger(0, 32) AS following
  UNION ALL
  SELECT number + 1, tallymark.resummarize_ledger(following, 32) FROM call WHERE following IS NOT NULL
)
SELECT * FROM call;
SELECT ok(max(number) > 1, 'it takes more than one call') FROM calls;
SELECT is(count(*) FILTER (WHERE following IS NULL), 1::bigint, 'and comes to an end') FROM calls;
SET LOCAL enable_seqscan = off;
SELECT is(sum(events), 600::numeric, 'the events of the last minutes are all there') FROM tallymark.events_per_minute(2, 'summary of mine');

SELECT * FROM finish();
ROLLBACK;
