-- Running jobs come in the order of how often they are reported on.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(9);

DO $$
BEGIN
  PERFORM tallymark.create_job(id) FROM unnest('{Q B slow,Q B fast,Q B once,Q B ended,Q C fast}'::text[]) AS id;
  PERFORM tallymark.merge_progress(id, jsonb_build_object('processedItems', n))
  FROM unnest('{Q B slow,Q B fast,Q B ended,Q C fast}'::text[]) AS id, generate_series(1, 5) AS n;
  PERFORM tallymark.merge_progress('Q B once', '{"processedItems": 1}');
  PERFORM tallymark.merge_progress('Q B ended', '{"status": "completed"}');
  UPDATE tallymark.job_event SET recorded_at = '2025-01-06 10:00:00+00'::timestamptz
    + seq * CASE job_id WHEN 'Q B slow' THEN interval '30 s' WHEN 'Q C fast' THEN interval '1 s' ELSE interval '2 s' END
  WHERE starts_with(job_id, 'Q ');
END
$$;
CREATE FUNCTION pg_temp.told(most integer, prefix text) RETURNS text LANGUAGE sql RETURN (
  SELECT string_agg(concat_ws(' ', b.id, trim_scale(b.per_minute)), '; ')
  FROM tallymark.busiest_jobs(most, prefix) AS b);

SELECT is(pg_temp.told(NULL, 'Q '), 'Q C fast 60; Q B fast 30; Q B slow 2; Q B once',
  'the most frequent first, those without a frequency last');
SELECT is(pg_temp.told(1, 'Q B '), 'Q B fast 30', 'with id_prefix and max_jobs');
SELECT ok('Q C fast' IN (SELECT b.id FROM tallymark.busiest_jobs(1000000) AS b), 'without id_prefix all are listed');
SELECT is(pg_temp.told(0, NULL), NULL, 'none');
SELECT is(pg_temp.told(-1, NULL), NULL, 'a negative max_jobs gives none');
SELECT results_eq($$ SELECT per_minute, median_gap, long_gap, last_update FROM tallymark.busiest_jobs(1, 'Q B slow') $$,
  $$ SELECT per_minute, median_gap, long_gap, last_update FROM tallymark.update_frequency('Q B slow') $$,
  'as of one job');
SELECT is(tallymark.busiest_page(1, 'Q B fast'), '{"jobs": [{"id": "Q B fast", "perMinute": 30, "medianGapSeconds": 2,
  "longGapSeconds": 2, "lastUpdateAt": "2025-01-06T10:00:10.000Z"}]}', 'as JSON');
SELECT is(tallymark.busiest_page(1, 'nobody'), '{"jobs": []}', 'none as JSON');
SELECT is(tallymark.busiest_page(1, 'Q B once') #> '{jobs,0,perMinute}', 'null', 'a frequency that is not known is null');

SELECT * FROM finish();
ROLLBACK;
