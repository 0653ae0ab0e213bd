-- Ended jobs are listed in the order of their ids, page by page, without jobs that are running or were reported on
-- lately.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(3);

-- Nobody else's jobs come after these.
CREATE FUNCTION pg_temp.mine(name text DEFAULT '') RETURNS text LANGUAGE sql IMMUTABLE
RETURN U&'\+10FFFF' || name;
CREATE FUNCTION pg_temp.ended(before timestamptz, after text DEFAULT '', most integer DEFAULT 1000)
RETURNS TABLE (id text, last_seq bigint, ended_at timestamptz) LANGUAGE sql AS $$
  SELECT replace(e.id, pg_temp.mine(), ''), e.last_seq, e.ended_at
  FROM tallymark.ended_jobs(before, pg_temp.mine(after), most) AS e
$$;

DO $$
BEGIN
  PERFORM tallymark.create_job(pg_temp.mine(name)), tallymark.merge_progress(pg_temp.mine(name), jsonb_build_object('status', status, 'timestamp',
    '2025-01-06T10:00:00Z'))
  FROM (VALUES ('b', 'completed'), ('a', 'failed'), ('d', 'cancelled'), ('c', 'processing'), ('e', 'completed'))
    AS j (name, status);
  UPDATE tallymark.job SET updated_at = '2025-01-06T10:00:00Z' 
  WHERE id > pg_temp.mine() AND id <> pg_temp.mine('e');
END
$$;
SELECT results_eq($$SELECT * FROM pg_temp.ended('2025-02-01')$$,
  $$VALUES ('a', 1::bigint, '2025-01-06T10:00:00Z'::timestamptz), ('b', 1, '2025-01-06T10:00:00Z'),
    ('d', 1, '2025-01-06T10:00:00Z')$$, 'all ended jobs');
SELECT is(ARRAY(SELECT id FROM pg_temp.ended('2025-02-01', 'a', 1)), '{b}', 'the next page');
SELECT is_empty($$SELECT * FROM pg_temp.ended('2025-01-06T10:00:00Z')$$, 'none ended before that');

SELECT * FROM finish();
ROLLBACK;
