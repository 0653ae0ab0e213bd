-- Locks the jobs that nobody else holds, without waiting for any.

CREATE OR REPLACE FUNCTION tallymark.lock_free_jobs(ids text[], with_large boolean DEFAULT true) RETURNS text[]
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
-- As in merge_batch: plans are kept, and may be made while the table is empty.
SET enable_seqscan = off
AS $$
DECLARE
  c_large CONSTANT integer := 262144; -- bytes: merging into such a state takes as long as a hundred usual merges
  v_id text;
  v_size integer;
  v_others text[] := '{}'::text[];
BEGIN
  -- One by one, because the jobs may be on several machines. Lock order: by their ids.
  FOREACH v_id IN ARRAY ARRAY(SELECT i.id FROM unnest(lock_free_jobs.ids) AS i (id) ORDER BY i.id COLLATE "C") LOOP
    SELECT pg_column_size(j.progress) INTO v_size FROM tallymark.job AS j
    WHERE j.id = v_id FOR NO KEY UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
      IF EXISTS (SELECT 1 FROM tallymark.job AS j WHERE j.id = v_id) THEN
        v_others := v_others || v_id;
      END IF;
    ELSIF v_size > c_large AND NOT lock_free_jobs.with_large THEN
      v_others := v_others || v_id;
    END IF;
  END LOOP;
  RETURN v_others;
END
$$;

COMMENT ON FUNCTION tallymark.lock_free_jobs(text[], boolean) IS
'Locks the rows of jobs, without waiting for any that another transaction holds.
Arguments: ids: the jobs, each once; those that are not registered are ignored; with_large: false where jobs with a very
large state should come back as if another transaction held them.
Returns: the jobs that another transaction holds, which are not locked, and, as asked for, those with a large state.
Locks: the rows of all others, in the order of their ids, until the end of the transaction.';

REVOKE ALL ON FUNCTION tallymark.lock_free_jobs(text[], boolean) FROM PUBLIC;
