-- Locks jobs, and waits for those that others hold, without keeping the others of them locked meanwhile.

CREATE OR REPLACE FUNCTION tallymark.lock_jobs(ids text[]) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
-- As in merge_batch: planned once per session, perhaps while the table is empty.
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
AS $$
DECLARE
  c_attempts CONSTANT integer := 5;
  v_patience CONSTANT interval := current_setting('lock_timeout')::interval;
  v_until CONSTANT timestamptz := clock_timestamp() + v_patience;
  v_held text[];
  v_id text;
BEGIN
  IF to_regclass('pg_catalog.pg_dist_partition') IS NOT NULL THEN
    SET LOCAL plan_cache_mode TO DEFAULT; -- as in lock_free_jobs
  END IF;
  FOR v_attempt IN 1..CASE WHEN cardinality(lock_jobs.ids) > 1 THEN c_attempts ELSE 0 END LOOP
    BEGIN
      v_held := tallymark.lock_free_jobs(lock_jobs.ids);
      IF v_held = '{}' THEN
        RETURN;
      END IF;
      RAISE EXCEPTION USING ERRCODE = 'TK000', MESSAGE = 'unlock'; -- the end of a subtransaction unlocks
    EXCEPTION WHEN SQLSTATE 'TK000' THEN
      NULL;
    END;
    FOREACH v_id IN ARRAY v_held LOOP
      BEGIN
        IF v_patience > '0' THEN -- for all of them together
          PERFORM set_config('lock_timeout',
            greatest(1, ceil(extract(epoch FROM v_until - clock_timestamp()) * 1000))::text, true);
        END IF;
        PERFORM 1 FROM tallymark.job AS j WHERE j.id = v_id FOR NO KEY UPDATE;
        RAISE EXCEPTION USING ERRCODE = 'TK000', MESSAGE = 'unlock';
      EXCEPTION WHEN SQLSTATE 'TK000' THEN
        NULL;
      END;
    END LOOP;
  END LOOP;
  -- Lock order: by their ids. One by one, because the jobs may be on several machines.
  FOREACH v_id IN ARRAY ARRAY(SELECT i.id FROM unnest(lock_jobs.ids) AS i (id) ORDER BY i.id COLLATE "C") LOOP
    PERFORM 1 FROM tallymark.job AS j WHERE j.id = v_id FOR NO KEY UPDATE;
  END LOOP;
END
$$;

COMMENT ON FUNCTION tallymark.lock_jobs(text[]) IS
'Locks the rows of jobs. While it waits for one that another transaction holds, it holds none of the others, so a job
that is held for long keeps nobody from them. If others were always faster after a few attempts, it waits in the order
of the ids.
Arguments: ids: the jobs, each once; those that are not registered are ignored.
Errors: 55P03 where others hold them for longer than lock_timeout, as a rule for all of them together.
Locks: the rows of all, until the end of the transaction.';

REVOKE ALL ON FUNCTION tallymark.lock_jobs(text[]) FROM PUBLIC;
