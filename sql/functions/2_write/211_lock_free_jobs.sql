-- Locks the jobs that nobody else holds, without waiting for any.

CREATE OR REPLACE FUNCTION tallymark.lock_free_jobs(ids text[]) RETURNS text[]
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
-- As in merge_batch: planned once per session, perhaps while the table is empty.
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
AS $$
DECLARE
  v_locked CONSTANT text[] := ARRAY(
    SELECT j.id FROM tallymark.job AS j
    WHERE j.id = ANY (lock_free_jobs.ids) ORDER BY j.id FOR NO KEY UPDATE SKIP LOCKED);
BEGIN
  IF cardinality(v_locked) = cardinality(lock_free_jobs.ids) THEN
    RETURN '{}';
  END IF;
  RETURN ARRAY(
    SELECT j.id FROM tallymark.job AS j WHERE j.id = ANY (lock_free_jobs.ids) AND j.id <> ALL (v_locked));
END
$$;

COMMENT ON FUNCTION tallymark.lock_free_jobs(text[]) IS
'Locks the rows of jobs, without waiting for any that another transaction holds.
Arguments: ids: the jobs, each once; those that are not registered are ignored.
Returns: the jobs that another transaction holds, which are not locked.
Locks: the rows of all others, in the order of their ids, until the end of the transaction.';

REVOKE ALL ON FUNCTION tallymark.lock_free_jobs(text[]) FROM PUBLIC;
