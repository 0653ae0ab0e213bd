-- Forty pseudo-random updates, with many ties and late ones, in twelve shuffled orders with duplicates, give one state.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(4);

SELECT setseed(0.25);
CREATE TEMPORARY TABLE mix AS
SELECT n AS number, jsonb_strip_nulls(jsonb_build_object('updateId', n::text,
  'timestamp', format('2025-01-06T10:0%s:00Z', floor(random() * 6)),
  'status', (ARRAY['started', 'processing', 'processing', 'paused', 'completed', 'failed',
    NULL])[1 + floor(random() * 7)],
  'workerId', (ARRAY['w1', 'w2', NULL])[1 + floor(random() * 3)],
  'counting', (ARRAY['cumulative', 'increment', NULL])[1 + floor(random() * 3)],
  'processedItems', CASE WHEN random() < 0.5 THEN floor(random() * 100) END,
  'groupCount', CASE WHEN random() < 0.2 THEN floor(random() * 10) END,
  'itemsByType', CASE WHEN random() < 0.5 THEN jsonb_build_object((ARRAY['issues', 'groups'])[1 + floor(random() * 2)],
    floor(random() * 9)) END,
  'stage', CASE WHEN random() < 0.4 THEN 'stage ' || n END, 'message', CASE WHEN random() < 0.4 THEN 'message '
    || n END,
  'totalItems', CASE WHEN random() < 0.2 THEN 100 + n END, 'error', CASE WHEN random() < 0.2 THEN 'error ' || n END,
  'progress', CASE WHEN random() < 0.3 THEN n END, 'own', CASE WHEN random() < 0.3 THEN n END)) AS payload
FROM generate_series(1, 40) AS n;

DO $$
DECLARE
  v_round integer;
  v_payload jsonb;
BEGIN
  FOR v_round IN 1..12 LOOP
    PERFORM tallymark.create_job('round ' || v_round);
    FOR v_payload IN SELECT m.payload FROM mix AS m ORDER BY random() LOOP
      PERFORM tallymark.merge_progress('round ' || v_round, v_payload);
    END LOOP;
    PERFORM tallymark.merge_progress('round ' || v_round, m.payload) FROM mix AS m WHERE m.number % 3 = 0;
  END LOOP;
END
$$;
SELECT is(count(DISTINCT to_jsonb(j) - '{id,created_at,updated_at}'::text[]), 1::bigint, 'twelve orders give one state')
FROM tallymark.job AS j WHERE j.id LIKE 'round %';
SELECT is(array_agg(DISTINCT j.last_seq), '{40}', 'with each update in it once') FROM tallymark.job AS j
  WHERE j.id LIKE 'round %';
SELECT is(bool_and(tallymark.verify_job(j.id)), true, 'which is what each ledger says') FROM tallymark.job AS j
  WHERE j.id LIKE 'round %';
SELECT is(max((j.progress #>> '{itemsByType,issues}')::integer), (
    SELECT sum(c.total)::integer FROM (
      SELECT sum((m.payload #>> '{itemsByType,issues}')::integer) AS total FROM mix AS m
      WHERE m.payload ->> 'counting' IS DISTINCT FROM 'cumulative'
      UNION ALL SELECT max((m.payload #>> '{itemsByType,issues}')::integer) FROM mix AS m
      WHERE m.payload ->> 'counting' = 'cumulative' GROUP BY m.payload ->> 'workerId') AS c),
  'the issues are the increments and each worker''s highest, counted another way') FROM tallymark.job AS j
    WHERE j.id LIKE 'round %';

SELECT * FROM finish();
ROLLBACK;
