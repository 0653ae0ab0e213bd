-- Finds which updates of a batch are in the ledgers already: one lookup in the index of keys for each.

CREATE OR REPLACE FUNCTION tallymark.known_updates(updates tallymark.batch_update[]) RETURNS bigint[]
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
-- The plan is kept for the session and may be made while the ledger is small, when every way to read it looks equally
-- good. Only the index of keys can give keys in order, so the key is asked for as a range; a range that ends at the
-- key, too, keeps the scan from reading the rest of the index page.
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_sort = off
AS $$
DECLARE
  v_job_id text;
  v_keys text[];
  v_known bigint[] := '{}'::bigint[];
BEGIN
  IF to_regclass('pg_catalog.pg_dist_partition') IS NOT NULL THEN
    -- The jobs may be on several machines: a statement for each. It is planned where it runs, with its parameters.
    FOR v_job_id, v_keys IN
      SELECT u.job_id, array_agg(u.key) FROM unnest(known_updates.updates) AS u WHERE u.key IS NOT NULL GROUP BY u.job_id
    LOOP
      SELECT array_agg(e.update_key) INTO v_keys FROM tallymark.job_event AS e
      WHERE e.job_id = v_job_id AND e.update_key = ANY (v_keys);
      v_known := v_known || ARRAY(
        SELECT u.number FROM unnest(known_updates.updates) AS u WHERE u.job_id = v_job_id AND u.key = ANY (v_keys));
    END LOOP;
    RETURN v_known;
  END IF;
  RETURN ARRAY(
    SELECT u.number FROM unnest(known_updates.updates) AS u
    WHERE u.key = (
      SELECT e.update_key FROM tallymark.job_event AS e
      WHERE e.job_id = u.job_id AND e.update_key >= u.key COLLATE "C" AND e.update_key <= u.key COLLATE "C"
      ORDER BY e.update_key LIMIT 1));
END
$$;

COMMENT ON FUNCTION tallymark.known_updates(tallymark.batch_update[]) IS
'Finds which updates of a batch are in the ledgers already.
Arguments: updates: as judge_update gives them, of jobs that the caller has locked.
Returns: their numbers.';

REVOKE ALL ON FUNCTION tallymark.known_updates(tallymark.batch_update[]) FROM PUBLIC;
