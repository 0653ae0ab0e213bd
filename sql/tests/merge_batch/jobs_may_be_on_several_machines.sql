-- Where a distributed database has the jobs on several machines, a batch and a group lock, look up and store them one by
-- one, with the same result. They ask whether such a database is there by a table of its catalogue, which is made here,
-- with two shards and what keeps them where they are.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(9);

CREATE FUNCTION pg_temp.played(p text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  v_batch jsonb := jsonb_build_array(
    jsonb_build_object('taskId', p || 2, 'updateId', 'a', 'itemsByType', '{"x": 1}'::jsonb),
    jsonb_build_object('taskId', p || 1, 'updateId', 'a', 'timeline', '[{"event": "e", "timestamp": "2025-01-06"}]'::jsonb),
    jsonb_build_object('taskId', p || 1, 'updateId', 'a'), jsonb_build_object('taskId', p || 1, 'updateId', 'pruned'),
    jsonb_build_object('taskId', p || 1, 'updateId', 'known'), jsonb_build_object('taskId', p || 9, 'updateId', 'a'),
    jsonb_build_object('taskId', p || 2, 'updateId', 'b', 'itemKeys', '{"pages": ["1", "2"]}'::jsonb),
    jsonb_build_object('taskId', p || 1, 'stage', 7), jsonb_build_object('taskId', p || 2, 'updateId', 'b', 'stage', 's'));
  v_played text;
BEGIN
  PERFORM tallymark.create_job(p || 1), tallymark.create_job(p || 2);
  PERFORM tallymark.merge_progress(p || 1, '{"updateId": "pruned", "itemsByType": {"x": 5}}');
  PERFORM tallymark.prune_job(p || 1, 'infinity', 0);
  PERFORM tallymark.merge_progress(p || 1, '{"updateId": "known"}');
  v_played := tallymark.merge_progress_batch(v_batch)::text || tallymark.merge_progress_batch(v_batch)::text
    || (SELECT string_agg(concat_ws(' ', g.answer, g.refusal, g.held), ' ') FROM tallymark.receive_group(ARRAY[
      jsonb_build_object('taskId', p || 2, 'status', 'processing', 'timestamp', '2025-01-06T10:00:00Z'),
      jsonb_build_object('taskId', p || 1, 'status', 'processing', 'timestamp', '2025-01-06T10:00:00Z'),
      jsonb_build_object('taskId', p || 3, 'status', 'started', 'timestamp', '2025-01-06T10:00:00Z'),
      v_batch -> 0], register => true) AS g);
  v_played := v_played || (SELECT string_agg(concat_ws(' ', j.id, j.status, j.progress, j.last_seq, tallymark.verify_job(j.id)), ' ' ORDER BY j.id)
      FROM tallymark.job AS j WHERE starts_with(j.id, p));
  RETURN replace(v_played, p, 'job');
END
$$;
CREATE TEMPORARY TABLE played AS SELECT pg_temp.played('one-') AS here;
SELECT alike(here, '%"duplicate": true%', 'with duplicates') FROM played;
SELECT alike(here, '%"counted": {"pages": 2}%', 'with keys of items') FROM played;
SELECT alike(here, '%Job not found%', 'with a job that is not there') FROM played;
SELECT alike(here, '%job1 running%job2 running%job3 running%', 'with three jobs afterwards') FROM played;
SELECT unalike(here, '% f %', 'that verify') FROM played;

SET LOCAL allow_system_table_mods = on;
CREATE TABLE pg_catalog.pg_dist_partition AS SELECT 'tallymark.job'::regclass AS logicalrelid, 'h'::"char" AS partmethod;
CREATE TABLE pg_catalog.pg_dist_shard AS SELECT 'tallymark.job'::regclass AS logicalrelid, s AS shardid FROM unnest('{1,2}'::bigint[]) AS s;
CREATE FUNCTION pg_catalog.get_shard_id_for_distribution_column(regclass, job_id text) RETURNS bigint LANGUAGE sql
  RETURN right(job_id, 1)::bigint;
GRANT SELECT ON pg_catalog.pg_dist_partition, pg_catalog.pg_dist_shard TO PUBLIC; -- as Citus does
CREATE TABLE public.kept (ids bigint[]);
CREATE FUNCTION pg_catalog.lock_shard_metadata(integer, ids bigint[]) RETURNS void LANGUAGE sql SECURITY DEFINER
  BEGIN ATOMIC INSERT INTO public.kept VALUES (ids); END;
SET LOCAL allow_system_table_mods = off;
SELECT is(pg_temp.played('two-'), here, 'one by one it is the same') FROM played;
SELECT is(tallymark.lock_free_jobs('{two-2,two-1,nobody}', false), '{}', 'free jobs are locked');
SELECT is((SELECT count(*) FROM tallymark.receive_group(ARRAY['{"taskId": "two-1", "status": "processing", "timestamp":
  "2025-01-06T11:00:00Z"}']::jsonb[]) AS g WHERE g.answer ->> 'status' = 'received'), 1::bigint, 'and merged into');
SELECT set_eq('SELECT ids::text FROM public.kept', ARRAY['{1}', '{2}', '{3}', '{1,2}', '{1,2,3}'],
  'plain updates keep the shards of their jobs, a batch all of them');

SELECT * FROM finish();
ROLLBACK;
