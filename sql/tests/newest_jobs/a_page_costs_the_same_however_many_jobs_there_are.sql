-- Each call must use an index where there is one: a plan made for any filters would read all jobs. Counted are the
-- blocks that were read, which do not depend on the machine.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(13);
\ir ../helpers.psql

-- Rows that other tests rolled back are still in the table's files, and would be counted, too.
TRUNCATE tallymark.job;
INSERT INTO tallymark.job (id, attributes, series, parent, status, facets, created_at)
SELECT 'many ' || lpad(n::text, 6, '0'),
  jsonb_build_object('team', CASE WHEN n % 10000 = 0 THEN 'rare' ELSE 't' || n % 7 END, 'series', 's' || n % 1000),
  's' || n % 1000, 'p' || n % 1000, CASE WHEN n % 1000 = 0 THEN 'failed' ELSE 'finished' END,
  jsonb_build_object('stage', CASE WHEN n % 10000 = 0 THEN 'rare' ELSE 's' || n % 7 END),
  '2025-01-06 10:00:00+00'::timestamptz + n * interval '1 second'
FROM generate_series(1, 40000) AS n;
ANALYZE tallymark.job;

DO $$ BEGIN
  PERFORM tallymark.newest_jobs(max_jobs => 1);
  PERFORM tallymark.jobs_by_status(at_most => 1);
END $$;
-- A session chooses this by itself after a few calls, unless the function prevents it.
SET LOCAL plan_cache_mode = force_generic_plan;

SELECT cmp_ok(pg_temp.blocks(c.call), '<', 400::bigint, c.words)
FROM (VALUES (1, 'tallymark.newest_jobs()', 'the first page'),
  (2, format('tallymark.newest_jobs(cursor => %L)', encode(convert_to(
    (extract(epoch FROM '2025-01-06 11:00:00+00'::timestamptz) * 1000000)::bigint || ' many', 'UTF8'), 'hex')),
    'one far behind'),
  (3, 'tallymark.newest_jobs(status => ''failed'', max_jobs => 20)', 'of a status that is rare'),
  (4, 'tallymark.newest_jobs(status => ''running'')', 'of one that no job has'),
  (5, 'tallymark.newest_jobs(stage => ''rare'')', 'of a stage that is rare'),
  (6, 'tallymark.newest_jobs(stage => ''s3'')', 'of one that is common'),
  (7, 'tallymark.newest_jobs(id_prefix => ''many 0399'')', 'of ids that begin alike'),
  (8, 'tallymark.jobs_by_status(at_most => 1000)', 'jobs counted up to a thousand'),
  (9, 'tallymark.jobs_by_status(''many 0399'', 1000)', 'of ids that begin alike'),
  (10, 'tallymark.newest_jobs(attributes => ''{"team": "rare"}'')', 'with an attribute that is rare'),
  (11, 'tallymark.newest_jobs(attributes => ''{"team": "t3"}'')', 'with one that is common'),
  (12, 'tallymark.newest_jobs(series => ''s7'')', 'of a series'),
  (13, 'tallymark.newest_jobs(parent => ''p7'')', 'of a family')) AS c (number, call, words)
ORDER BY c.number;

SELECT * FROM finish();
ROLLBACK;
