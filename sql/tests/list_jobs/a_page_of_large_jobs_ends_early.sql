-- Jobs of a megabyte each do not make a page too large for one JSON document: the page ends early, and "next"
-- continues.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(3);

DO $$
BEGIN
  PERFORM tallymark.create_job('large ' || n) FROM generate_series(10, 29) AS n;
  UPDATE tallymark.job SET progress = jsonb_build_object('x', repeat('y', 1000000)) WHERE id LIKE 'large %';
  PERFORM tallymark.create_job('vast ' || n) FROM generate_series(1, 2) AS n;
  UPDATE tallymark.job SET progress = jsonb_build_object('x', repeat('y', 17000000)) WHERE id LIKE 'vast %';
END
$$;
CREATE TEMPORARY TABLE page AS SELECT tallymark.list_jobs(id_prefix => 'large ') AS first;

SELECT is(jsonb_array_length(first -> 'jobs'), 16, 'as many as 16 MB hold') FROM page;
SELECT is(tallymark.list_jobs(id_prefix => 'large ', cursor => first ->> 'next') #>> '{jobs,0,id}', 'large 26',
  'next goes on behind them') FROM page;
SELECT is(jsonb_array_length(tallymark.list_jobs(id_prefix => 'vast ') -> 'jobs'), 1, 'one is always there');

SELECT * FROM finish();
ROLLBACK;
