-- Keeps jobs on the server where they are until the end of the transaction, where they are distributed over several.

CREATE OR REPLACE FUNCTION tallymark.keep_shards(job_ids text[], bodies jsonb[] DEFAULT '{}') RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = auto -- the database may have force_custom_plan, for queries of jobs
AS $$
DECLARE
  -- What these have is written by INSERT ... SELECT, which takes the locks of all shards.
  c_by_select CONSTANT text[] := '{areas,itemKeys,timeline}';
BEGIN
  IF to_regclass('pg_catalog.pg_dist_partition') IS NULL THEN
    RETURN;
  END IF;
  -- Citus may move a shard between two statements of a transaction that has only read there. A third server then goes on
  -- sending the writes to a table that it has read to the old server, where they are lost, and those to other tables to
  -- the new one. This takes the lock that a write takes: in the order of the shards, before any row is locked. What is
  -- called here belongs to Citus.
  IF keep_shards.job_ids IS NULL OR EXISTS (
    SELECT FROM unnest(keep_shards.bodies) AS b (body) WHERE jsonb_typeof(b.body) = 'array' OR b.body ?| c_by_select)
  THEN
    PERFORM lock_shard_metadata(5, l.ids) -- 5 is SHARE
    FROM (
      SELECT array_agg(d.shardid ORDER BY d.shardid) AS ids FROM pg_dist_shard AS d
      WHERE d.logicalrelid = 'tallymark.job'::regclass) AS l
    WHERE l.ids IS NOT NULL;
  ELSE
    PERFORM lock_shard_metadata(5, l.ids)
    FROM (
      SELECT array_agg(i.id ORDER BY i.id) AS ids
      FROM (
        SELECT DISTINCT get_shard_id_for_distribution_column(p.logicalrelid, k.job_id) AS id
        FROM pg_dist_partition AS p, unnest(keep_shards.job_ids) AS k (job_id)
        WHERE p.logicalrelid = 'tallymark.job'::regclass AND p.partmethod = 'h' AND k.job_id IS NOT NULL) AS i) AS l
    WHERE l.ids IS NOT NULL;
  END IF;
END
$$;

COMMENT ON FUNCTION tallymark.keep_shards(text[], jsonb[]) IS
'Keeps jobs on the server where they are until the end of the transaction, where they are distributed over several
servers, and does nothing elsewhere. What reads rows of a job and then writes some calls it first, outside of any
subtransaction: otherwise an update is lost if its job moves to another server in between.
Arguments: job_ids: the jobs; null for all of them. bodies: the updates of these jobs that will be merged: some of them
need all shards.
Returns: nothing.
Errors: 55P03 where the last step of a move lasts longer than lock_timeout.
Locks: on the shards, shared, in their order, before any row. A move waits for them before its last step, and they wait
for that step.';

REVOKE ALL ON FUNCTION tallymark.keep_shards(text[], jsonb[]) FROM PUBLIC;
