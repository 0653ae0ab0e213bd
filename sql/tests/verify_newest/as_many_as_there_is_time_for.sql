-- The newest jobs are compared with their ledgers, up to a number of events. Skipped jobs are counted.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(9);

DO $$
BEGIN
  -- V 1 has one event, V 2 two and so on; the last ones are the newest.
  PERFORM tallymark.create_job('V ' || n) FROM generate_series(1, 5) AS n;
  PERFORM tallymark.merge_progress('V ' || n, jsonb_build_object('processedItems', m))
  FROM generate_series(1, 5) AS n, generate_series(1, n) AS m;
  UPDATE tallymark.job SET progress = progress || '{"processedItems": 60}' WHERE id = 'V 3';
END
$$;

SELECT is(tallymark.verify_newest(id_prefix => 'V '), '{"checked": 5, "exact": 4, "differing": ["V 3"], "skipped": 0}', 'all jobs');
SELECT is(tallymark.verify_newest(2), '{"checked": 2, "exact": 2, "differing": [], "skipped": 0}', 'the newest');
SELECT is(tallymark.verify_newest(id_prefix => 'V ', most_events => 9), '{"checked": 2, "exact": 2, "differing": [], "skipped": 3}',
  'at most most_events events');
SELECT is(tallymark.verify_newest(id_prefix => 'V ', most_events => 4), '{"checked": 1, "exact": 1, "differing": [], "skipped": 4}',
  'a long one is skipped, and a shorter one after it is not');
SELECT is(tallymark.verify_newest(id_prefix => 'V ', most_events => 0), '{"checked": 0, "exact": 0, "differing": [], "skipped": 5}',
  'none');
SELECT is(tallymark.verify_newest(0), '{"checked": 0, "exact": 0, "differing": [], "skipped": 0}', 'no jobs');
SELECT is(tallymark.verify_newest(-1, -1), '{"checked": 0, "exact": 0, "differing": [], "skipped": 0}',
  'a negative max_jobs gives none');
SELECT is(tallymark.verify_newest(id_prefix => 'V 3'), '{"checked": 1, "exact": 0, "differing": ["V 3"], "skipped": 0}',
  'with id_prefix');
SELECT is(tallymark.verify_newest(NULL, NULL, NULL), tallymark.verify_newest(), 'null is the default');

SELECT * FROM finish();
ROLLBACK;
