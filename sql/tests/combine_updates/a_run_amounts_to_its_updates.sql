-- The law of the algebra: a combined run, merged into a state, gives what its updates give one after the other. A
-- thousand random updates, late ones and ties among them, are merged into states that know newer ones.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(8);

SELECT setseed(0.42);
CREATE TEMPORARY TABLE drawn AS
SELECT g.n / 100 AS round, g.n AS number, 'job ' || g.n % 3 AS job_id, '=u' || g.n AS key,
  timestamptz '2025-01-06T10:00:00Z' + g.n * interval '1s'
    - CASE WHEN random() < 0.2 THEN floor(random() * 20) * interval '1s' ELSE '0s' END AS at,
  tallymark.without_nulls(jsonb_build_object('taskId', 'job', 'status', CASE WHEN random() < 0.95 THEN 'processing'
      WHEN random() < 0.5 THEN 'paused' WHEN random() < 0.5 THEN 'completed' END,
    'processedItems', CASE WHEN random() < 0.9 THEN floor(random() * 1000) END,
    'itemsByType', CASE WHEN random() < 0.9 THEN tallymark.without_nulls(jsonb_build_object(
      'issues', floor(random() * 9), 'a b', CASE WHEN random() < 0.3 THEN 9007199254740991 END)) END,
    'message', CASE WHEN g.n / 10 % 2 = 0 THEN 'm' || g.n END, 'lastProcessedId', CASE WHEN g.n / 10 % 3 = 0 THEN 'i' ||
      g.n END,
    'progress', CASE WHEN g.n / 20 % 3 = 0 THEN g.n END, 'stage', CASE WHEN random() < 0.9 THEN 's' || g.n / 10 % 3 END,
    'workerId', CASE WHEN g.n / 50 % 3 = 0 THEN 'w' END, 'error', CASE WHEN g.n / 10 % 5 = 0 THEN 'e' END,
    'totalItems', CASE WHEN random() < 0.05 THEN 5000 END, 'counting', CASE WHEN random() < 0.05 THEN 'cumulative' END,
    'groupCount', CASE WHEN random() < 0.05 THEN g.n END)) AS payload
FROM generate_series(0, 999) AS g (n);
-- Each job after a round of updates, merged into a state that has some of the times and fields in between.
CREATE FUNCTION pg_temp.after_round(round integer, combined boolean) RETURNS SETOF tallymark.job LANGUAGE plpgsql AS $$
DECLARE
  v_updates CONSTANT tallymark.batch_update[] := ARRAY(
    SELECT ROW(d.number, d.job_id, d.at, d.key, d.payload, '[]', NULL, d.number)::tallymark.batch_update
    FROM drawn AS d WHERE d.round = $1 ORDER BY d.number);
  v_job tallymark.job;
  v_one record;
BEGIN
  FOR v_job IN
    SELECT r.* FROM generate_series(0, 2) AS g (n), jsonb_populate_record(NULL::tallymark.job, jsonb_build_object(
      'id', 'job ' || g.n, 'status', 'queued', 'progress', '{}'::jsonb, 'facets', '{}'::jsonb, 'newest_fields',
        '[]'::jsonb,
      'clocks', '{}'::jsonb)) AS r
  LOOP
    v_job := tallymark.merge_state(v_job, timestamptz '2025-01-06T10:00:20Z' + $1 * interval '100s', '=u5',
      '{"stage": "known", "message": "known"}');
    v_job := tallymark.merge_state(v_job, timestamptz '2025-01-06T10:00:50Z' + $1 * interval '100s', '=v',
      '{"lastProcessedId": "known", "processedItems": 500}');
    FOR v_one IN
      SELECT c.at, c.first_at, c.key, c.payload FROM tallymark.combine_updates(v_updates, '{}') AS c
      WHERE combined AND c.job_id = v_job.id
      UNION ALL
      SELECT u.at, u.at, u.key, u.payload FROM unnest(v_updates) AS u WHERE NOT combined AND u.job_id = v_job.id
    LOOP
      v_job.started_at := least(v_job.started_at, v_one.first_at);
      v_job := tallymark.merge_state(v_job, v_one.at, v_one.key, v_one.payload);
    END LOOP;
    RETURN NEXT v_job;
  END LOOP;
END
$$;
SELECT results_eq(
  $$ SELECT g.n, to_jsonb(j) FROM generate_series(0, 9) AS g (n), pg_temp.after_round(g.n, true) AS j ORDER BY g.n, j.id
    $$,
  $$ SELECT g.n, to_jsonb(j) FROM generate_series(0, 9) AS g (n), pg_temp.after_round(g.n, false) AS j ORDER BY g.n,
    j.id $$,
  'thirty jobs are the same, whether their updates were combined or not');
CREATE TEMPORARY TABLE run AS
SELECT c.* FROM tallymark.combine_updates(ARRAY(
  SELECT ROW(d.number, d.job_id, d.at, d.key, d.payload, '[]', NULL, d.number)::tallymark.batch_update FROM drawn AS d
  ORDER BY d.number), '{}') AS c;
SELECT cmp_ok(count(*), '<', 900::bigint, 'many were combined, or this would prove nothing') FROM run;
SELECT is(sum((i.value)::numeric), (SELECT sum(j.value::numeric) FROM drawn AS d, jsonb_each(d.payload -> 'itemsByType')
  AS j),
  'no count is lost') FROM run AS r, jsonb_each(r.payload -> 'itemsByType') AS i;
SELECT results_eq('SELECT job_id, run FROM run',
  'SELECT job_id, row_number() OVER (PARTITION BY job_id ORDER BY run) FROM run ORDER BY job_id, run',
  'runs are numbered in each job, and come in the order of jobs and runs');
SELECT is(count(*), 0::bigint, 'a run begins where the one before it ended')
FROM (SELECT r.first_number, lag(r.number) OVER (PARTITION BY r.job_id ORDER BY r.run) AS before FROM run AS r) AS r
WHERE r.first_number <= r.before;
SELECT is(count(*), 0::bigint, 'its place, time, key and event are those of its last update')
FROM run AS r JOIN drawn AS d USING (number) WHERE (r.at, r.key, r.seq) IS DISTINCT FROM (d.at, d.key,
  d.number::bigint);
SELECT is((SELECT count(*) FROM tallymark.combine_updates('{}', '{}')), 0::bigint, 'no updates give no runs');
SELECT is((SELECT count(*) FROM tallymark.combine_updates(NULL, NULL)), 0::bigint, 'nor does null');

SELECT * FROM finish();
ROLLBACK;
