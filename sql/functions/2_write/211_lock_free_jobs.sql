-- Locks the jobs that nobody else holds, without waiting for any.

CREATE OR REPLACE FUNCTION tallymark.lock_free_jobs(ids text[], with_large boolean DEFAULT true) RETURNS text[]
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
-- As in merge_batch: planned once per session, perhaps while the table is empty.
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
AS $$
DECLARE
  c_large CONSTANT integer := 262144; -- bytes: merging into such a state takes as long as a hundred usual merges
  v_locked text[];
  v_id text;
  v_size integer;
  v_others text[] := '{}'::text[];
BEGIN
  -- Lock order: by their ids.
  IF to_regclass('pg_catalog.pg_dist_partition') IS NOT NULL THEN -- the jobs may be on several machines: one by one
    SET LOCAL plan_cache_mode TO DEFAULT;
    FOREACH v_id IN ARRAY ARRAY(SELECT i.id FROM unnest(lock_free_jobs.ids) AS i (id) ORDER BY i.id COLLATE "C") LOOP
      SELECT pg_column_size(j.progress) INTO v_size FROM tallymark.job AS j
      WHERE j.id = v_id FOR NO KEY UPDATE SKIP LOCKED;
      IF NOT FOUND THEN
        PERFORM 1 FROM tallymark.job AS j WHERE j.id = v_id;
        IF FOUND THEN
          v_others := v_others || v_id;
        END IF;
      ELSIF v_size > c_large AND NOT lock_free_jobs.with_large THEN
        v_others := v_others || v_id;
      END IF;
    END LOOP;
    RETURN v_others;
  END IF;
  v_locked := ARRAY(
    SELECT l.id
    FROM (
      SELECT j.id, pg_column_size(j.progress) AS size FROM tallymark.job AS j
      WHERE j.id = ANY (lock_free_jobs.ids) ORDER BY j.id FOR NO KEY UPDATE SKIP LOCKED
    ) AS l
    WHERE lock_free_jobs.with_large OR l.size <= c_large);
  IF cardinality(v_locked) = cardinality(lock_free_jobs.ids) THEN
    RETURN '{}';
  END IF;
  RETURN ARRAY(
    SELECT j.id FROM tallymark.job AS j WHERE j.id = ANY (lock_free_jobs.ids) AND j.id <> ALL (v_locked));
END
$$;

COMMENT ON FUNCTION tallymark.lock_free_jobs(text[], boolean) IS
'Locks the rows of jobs, without waiting for any that another transaction holds.
Arguments: ids: the jobs, each once; those that are not registered are ignored; with_large: false where jobs with a very
large state should come back as if another transaction held them.
Returns: the jobs that another transaction holds, which are not locked, and, as asked for, those with a large state.
Locks: the rows of all others, in the order of their ids, until the end of the transaction.';

REVOKE ALL ON FUNCTION tallymark.lock_free_jobs(text[], boolean) FROM PUBLIC;
