-- Tells whether a session keeps a new plan for each query. Some releases of Citus do, for queries of a job that is on the
-- server itself.

CREATE OR REPLACE FUNCTION tallymark.plan_growth() RETURNS bigint
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = auto
AS $$
DECLARE
  c_queries CONSTANT integer := 10; -- the first five have plans of their own, which are not kept
  v_job_id text := 'job_1'; -- it need not be there
  v_bytes bigint;
  v_before bigint;
BEGIN
  IF to_regclass('pg_catalog.pg_dist_partition') IS NOT NULL THEN
    EXECUTE $query$
      SELECT (
        SELECT 'job_' || n FROM generate_series(1, 1000) AS n
        WHERE get_shard_id_for_distribution_column('tallymark.job', 'job_' || n) = ANY (here.shards) LIMIT 1)
      FROM (
        SELECT ARRAY(
          SELECT s.shardid FROM pg_dist_shard AS s JOIN pg_dist_placement AS p USING (shardid)
            JOIN pg_dist_local_group AS g USING (groupid)
          WHERE s.logicalrelid = 'tallymark.job'::regclass)
      ) AS here (shards)
      WHERE here.shards <> '{}'
    $query$ INTO v_job_id;
  END IF;
  IF v_job_id IS NULL THEN -- this server has no jobs
    RETURN 0;
  END IF;
  FOR v_round IN 1..3 LOOP
    FOR v_query IN 1..c_queries LOOP
      PERFORM j.last_seq FROM tallymark.job AS j WHERE j.id = v_job_id;
    END LOOP;
    v_before := v_bytes;
    SELECT sum(c.used_bytes) INTO v_bytes FROM pg_backend_memory_contexts AS c WHERE c.name = 'CachedPlan';
  END LOOP;
  RETURN (v_bytes - v_before) / c_queries;
END
$$;

COMMENT ON FUNCTION tallymark.plan_growth() IS
'Measures how many bytes of plans a session keeps for each further query of a job of this server, until it ends. It
should be 0. tallymark distribute asks each node for it, as a superuser.
Returns: bytes a query, on the average of 10; 0 where the server has no jobs.';

REVOKE ALL ON FUNCTION tallymark.plan_growth() FROM PUBLIC;
