-- Many large jobs exceed one JSON document: some are returned, the others by the next call, and no job is kept out for
-- ever.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(4);

DO $$
BEGIN
  PERFORM tallymark.create_job('large ' || n) FROM generate_series(10, 49) AS n;
  UPDATE tallymark.job SET progress = jsonb_build_object('x', repeat('y', 1000000)), last_seq = 1,
    updated_at = '2025-01-06'::timestamptz - right(id, 2)::integer * interval '1 s' WHERE id LIKE 'large %';
  PERFORM tallymark.create_job('vast');
  UPDATE tallymark.job SET progress = jsonb_build_object('x', repeat('y', 17000000)) WHERE id = 'vast';
END
$$;
CREATE FUNCTION pg_temp.told(first integer, last integer) RETURNS text[] LANGUAGE sql RETURN (
  SELECT array_agg(right(c ->> 'id', 2)) FROM jsonb_array_elements(tallymark.job_changes(
    ARRAY(SELECT 'large ' || n FROM generate_series(first, last) AS n),
    ARRAY(SELECT -1 FROM generate_series(first, last) AS n))) AS c);

SELECT is(pg_temp.told(10, 49), ARRAY(SELECT n::text FROM generate_series(49, 34, -1) AS n),
  'those that have waited longest');
SELECT is(pg_temp.told(10, 33), ARRAY(SELECT n::text FROM generate_series(33, 18, -1) AS n), 'then the others');
SELECT is(pg_temp.told(10, 17), ARRAY(SELECT n::text FROM generate_series(17, 10, -1) AS n), 'until all are told');
SELECT is(jsonb_array_length(tallymark.job_changes('{vast}', '{-1}')), 1, 'one is always told');

SELECT * FROM finish();
ROLLBACK;
