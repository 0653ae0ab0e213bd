-- Whole numbers go from 0 to 2^53-1 in each numeric member: the limit is accepted, one more is refused.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(80);
\ir ../helpers.psql

DO $$ BEGIN PERFORM tallymark.create_job('job'); END $$;

SELECT is(pg_temp.at_fault(jsonb_build_object(m.name, c.value)), CASE WHEN c.good THEN 'taken' ELSE m.name END,
  format('%s may %sbe %s', m.name, CASE WHEN c.good THEN '' ELSE 'not ' END, c.value))
FROM unnest('{processedItems,totalItems,processed,total,groupCount,projectCount,groupTotal,projectTotal}'::text[])
  AS m (name)
CROSS JOIN (VALUES (1, '0'::jsonb, true), (2, '9007199254740991', true), (3, '7278.0', true), (4, '9007199254740992',
  false),
  (5, '-1', false), (6, '0.5', false), (7, '"5"', false), (8, 'true', false), (9, '[5]', false), (10, '{"n": 5}',
    false))
  AS c (number, value, good)
ORDER BY m.name, c.number;

SELECT * FROM finish();
ROLLBACK;
