-- By the protocol, equal updates with equal timestamps are one update. If no timestamp has a fraction of a second, the
-- diagnosis names that as the cause of duplicates, and not lost answers.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(8);

CREATE FUNCTION pg_temp.report(job text, at text, more jsonb DEFAULT '{}') RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM tallymark.merge_progress(job, jsonb_build_object('timestamp', at, 'itemsByType', '{"issues": 1}'::jsonb) || more);
END
$$;
CREATE FUNCTION pg_temp.duplicates(job_id text) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  j tallymark.job;
BEGIN
  SELECT x.* INTO j FROM tallymark.job AS x WHERE x.id = duplicates.job_id;
  RETURN (SELECT f FROM jsonb_array_elements(tallymark.diagnose_intake(j, false)) AS f WHERE f ->> 'code' = 'duplicates');
END
$$;
DO $$
DECLARE
  v_job text;
BEGIN
  FOREACH v_job IN ARRAY '{S whole,S millis,S named,S few,S early}'::text[] LOOP
    PERFORM tallymark.create_job(v_job);
    PERFORM tallymark.note_intake(jsonb_build_array(jsonb_build_object('jobId', v_job, 'outcome', 'duplicate')));
  END LOOP;
  FOR i IN 1..20 LOOP
    PERFORM pg_temp.report('S whole', format('2025-01-06T19:15:%sZ', 30 + i / 8));
    PERFORM pg_temp.report('S millis', format('2025-01-06T19:15:%s.%sZ', 30 + i / 8, 100 + i));
    PERFORM pg_temp.report('S named', '2025-01-06T19:15:30Z', jsonb_build_object('updateId', i::text));
    PERFORM pg_temp.report('S early', format('2025-01-06T19:15:%sZ', 10 + i));
  END LOOP;
  FOR i IN 1..2 LOOP
    PERFORM tallymark.merge_progress_batch((
      SELECT jsonb_agg(jsonb_build_object('taskId', 'S early', 'updateId', format('%s %s', i, n)))
      FROM generate_series(1, 1000) AS n));
  END LOOP;
  PERFORM pg_temp.report('S few', '2025-01-06T19:15:30Z');
END
$$;

SELECT is((SELECT j.progress #> '{itemsByType,issues}' FROM tallymark.job AS j WHERE j.id = 'S whole'), '3',
  'of 20 equal updates within three seconds 3 count');
SELECT is((SELECT j.progress #> '{itemsByType,issues}' FROM tallymark.job AS j WHERE j.id = 'S millis'), '20',
  'with milliseconds all count');
SELECT is(pg_temp.duplicates('S whole') #>> '{severity}', 'warning', 'a single duplicate is a warning then');
SELECT is(pg_temp.duplicates('S whole') #> '{facts,wholeSeconds}', 'true', 'the cause is named');
SELECT ok(pg_temp.duplicates('S whole') ->> 'next' LIKE '%updateId%milliseconds%', 'and the cure');
SELECT is(pg_temp.duplicates('S millis') #> '{facts,wholeSeconds}', 'false', 'not where timestamps have fractions');
SELECT is(array[pg_temp.duplicates('S named') #> '{facts,wholeSeconds}', pg_temp.duplicates('S few') #> '{facts,wholeSeconds}'],
  '{false,false}'::jsonb[], 'not where updates have ids, and not after one or two updates');
SELECT is(pg_temp.duplicates('S early') #> '{facts,wholeSeconds}', 'false',
  'and not where the newest 2000 updates have ids, however many came before them: a long ledger is not searched');

SELECT * FROM finish();
ROLLBACK;
