-- Crawlers written for the original send processed, total, groupCount and projectCount, and must keep working
-- unchanged.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(11);

CREATE FUNCTION pg_temp.progress_after(payload jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  v_job CONSTANT text := gen_random_uuid()::text;
BEGIN
  PERFORM tallymark.create_job(v_job);
  PERFORM tallymark.merge_progress(v_job, u.value || '{"timestamp": "2025-01-06T10:00:00Z"}')
  FROM jsonb_array_elements(payload) AS u;
  RETURN (SELECT j.progress FROM tallymark.job AS j WHERE j.id = v_job AND tallymark.verify_job(v_job));
END
$$;

SELECT is(pg_temp.progress_after('[{"processed": 5, "total": 10}]'), '{"processedItems": 5, "totalItems": 10}',
  'processed and total are processedItems and totalItems');
SELECT is(pg_temp.progress_after('[{"processed": 5, "processedItems": 7, "total": 9, "totalItems": 8}]'),
  '{"processedItems": 7, "totalItems": 8}', 'where both names are given the new one stands');
SELECT is(pg_temp.progress_after('[{"processed": 5, "processedItems": null}]'), '{"processedItems": 5}',
  'a new name that is null is not given');
SELECT is(pg_temp.progress_after('[{"processed": 5}, {"processedItems": 4}]'), '{"processedItems": 5}',
  'both names are one running total');
SELECT is(pg_temp.progress_after('[{"groupCount": 5, "projectCount": 20}]'),
  '{"itemsByType": {"groups": 5, "projects": 20}}',
  'groupCount and projectCount are counts of groups and projects');
SELECT is(pg_temp.progress_after('[{"groupCount": 5}, {"groupCount": 7}, {"groupCount": 6}]'),
  '{"itemsByType": {"groups": 7}}', 'running totals, not increments');
SELECT is(pg_temp.progress_after('[{"groupCount": 5}, {"groupCount": 5, "workerId": "w"}]'),
  '{"itemsByType": {"groups": 10}}', 'of each worker');
SELECT is(pg_temp.progress_after('[{"groupCount": 5, "itemsByType": {"groups": 2, "issues": 1}}]'),
  '{"itemsByType": {"groups": 7, "issues": 1}}', 'increments come on top');
SELECT is(pg_temp.progress_after('[{"groupCount": 5, "counting": "cumulative", "itemsByType": {"groups": 2}}]'),
  '{"itemsByType": {"groups": 5}}', 'of two running totals in one update the higher counts');
SELECT is(pg_temp.progress_after('[{"groupTotal": 50, "projectTotal": 70, "updateId": "a"}, {"groupTotal": 40,
  "updateId": "b"}]'),
  '{"groupTotal": 40, "projectTotal": 70}', 'groupTotal and projectTotal are kept under their names, newest wins');
SELECT is(pg_temp.progress_after('[{"groupCount": 0, "processed": 0}]'),
  '{"itemsByType": {"groups": 0}, "processedItems": 0}',
  'nought is a value');

SELECT * FROM finish();
ROLLBACK;
