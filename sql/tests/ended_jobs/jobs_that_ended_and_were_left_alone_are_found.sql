-- Ended jobs are listed in the order of their ids, page by page, without jobs that are running or were reported on
-- lately.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(3);

DO $$
BEGIN
  PERFORM tallymark.create_job(id), tallymark.merge_progress(id, jsonb_build_object('status', status, 'timestamp',
    '2025-01-06T10:00:00Z'))
  FROM (VALUES ('b', 'completed'), ('a', 'failed'), ('d', 'cancelled'), ('c', 'processing'), ('e', 'completed'))
    AS j (id, status);
  UPDATE tallymark.job SET updated_at = '2025-01-06T10:00:00Z' WHERE id <> 'e';
END
$$;
SELECT results_eq($$SELECT * FROM tallymark.ended_jobs('2025-02-01')$$,
  $$VALUES ('a', 1::bigint, '2025-01-06T10:00:00Z'::timestamptz), ('b', 1, '2025-01-06T10:00:00Z'),
    ('d', 1, '2025-01-06T10:00:00Z')$$, 'all ended jobs');
SELECT is(ARRAY(SELECT id FROM tallymark.ended_jobs('2025-02-01', 'a', 1)), '{b}', 'the next page');
SELECT is_empty($$SELECT * FROM tallymark.ended_jobs('2025-01-06T10:00:00Z')$$, 'none ended before that');

SELECT * FROM finish();
ROLLBACK;
