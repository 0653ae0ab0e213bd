-- Each call must use an index where there is one: a plan made for any filters would read all jobs. Counted are the rows
-- that were read, which do not depend on the machine.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(9);
\ir ../helpers.psql

-- Rows that other tests rolled back are still in the table's files, and would be counted, too.
TRUNCATE tallymark.job;
INSERT INTO tallymark.job (id, attributes, series, parent, status, facets)
SELECT 'many ' || lpad(n::text, 6, '0'),
  jsonb_build_object('team', CASE WHEN n % 10000 = 0 THEN 'rare' ELSE 't' || n % 7 END, 'series', 's' || n % 1000),
  's' || n % 1000, 'p' || n % 1000, CASE WHEN n % 1000 = 0 THEN 'failed' ELSE 'finished' END,
  jsonb_build_object('stage', CASE WHEN n % 10000 = 0 THEN 'rare' ELSE 's' || n % 7 END)
FROM generate_series(1, 40000) AS n;
ANALYZE tallymark.job;

DO $$ BEGIN PERFORM tallymark.list_jobs(max_jobs => 1); END $$;
-- A session chooses this by itself after a few calls, unless the function prevents it.
SET LOCAL plan_cache_mode = force_generic_plan;

SELECT cmp_ok(pg_temp.blocks(c.call), '<', 400::bigint, c.words)
FROM (VALUES (1, 'tallymark.list_jobs()', 'the first page'),
  (2, format('tallymark.list_jobs(cursor => %L)', encode('many 039000', 'hex')), 'one far behind'),
  (3, 'tallymark.list_jobs(status => ''failed'')', 'of a status that is rare'),
  (4, 'tallymark.list_jobs(stage => ''rare'')', 'of a stage that is rare'),
  (5, 'tallymark.list_jobs(id_prefix => ''many 0399'')', 'of ids that begin alike'),
  (6, 'tallymark.list_jobs(attributes => ''{"team": "rare"}'')', 'with an attribute that is rare'),
  (7, 'tallymark.list_jobs(attributes => ''{"team": "t3"}'')', 'with one that is common'),
  (8, 'tallymark.list_jobs(series => ''s7'')', 'of a series'),
  (9, 'tallymark.list_jobs(parent => ''p7'')', 'of a family')) AS c (number, call, words)
ORDER BY c.number;

SELECT * FROM finish();
ROLLBACK;
