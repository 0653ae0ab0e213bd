-- Where one update gives both, processedItems must not exceed totalItems. Across updates it may, since the total may
-- have been an estimate.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(10);
\ir ../helpers.psql

DO $$ BEGIN PERFORM tallymark.create_job('job'); END $$;

SELECT is(pg_temp.at_fault(c.payload), c.outcome, c.words)
FROM (VALUES
  (1, '{"processedItems": 5, "totalItems": 5}'::jsonb, 'taken', 'as many as the total'),
  (2, '{"processedItems": 6, "totalItems": 5}', 'processedItems', 'one more than the total'),
  (3, '{"processed": 6, "total": 5}', 'processedItems', 'under the legacy names'),
  (4, '{"processed": 6, "totalItems": 5}', 'processedItems', 'under one new and one legacy name'),
  (5, '{"processedItems": 6, "total": 5}', 'processedItems', 'and the other way round'),
  (6, '{"processedItems": 4, "processed": 6, "totalItems": 5}', 'taken',
    'a legacy name beside the new one is not looked at'),
  (7, '{"processedItems": 6, "totalItems": null}', 'taken', 'a total that is null is not given'),
  (8, '{"processedItems": 1, "totalItems": 0}', 'processedItems', 'a total of nought is a total'),
  (9, '{"processedItems": "9", "totalItems": "5"}', 'processedItems totalItems',
    'texts are not compared as if they were numbers'))
  AS c (number, payload, outcome, words)
ORDER BY c.number;
SELECT is(pg_temp.at_fault('{"totalItems": 3}') || ', ' || pg_temp.at_fault('{"processedItems": 400}'), 'taken, taken',
  'in two updates there is no such rule');

SELECT * FROM finish();
ROLLBACK;
