-- Finds which updates of a batch were accepted before and have been pruned since.

CREATE OR REPLACE FUNCTION tallymark.known_pruned_updates(updates tallymark.batch_update[], jobs tallymark.job[])
RETURNS bigint[]
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
-- As in known_updates: the plan is kept, and may be made while the table is small.
SET enable_seqscan = off
SET enable_bitmapscan = off
AS $$
DECLARE
  v_job_id text;
  v_digests bytea[];
  v_numbers bigint[];
  v_known bigint[] := '{}'::bigint[];
BEGIN
  -- A statement for each job, as in known_updates.
  FOR v_job_id, v_digests, v_numbers IN
    SELECT u.job_id, array_agg(tallymark.key_digest(u.key)), array_agg(u.number)
    FROM unnest(known_pruned_updates.updates) AS u
    JOIN unnest(known_pruned_updates.jobs) AS j ON j.id = u.job_id AND j.pruned_seq > 0
    WHERE u.refusal IS NULL GROUP BY u.job_id
  LOOP
    v_known := v_known || ARRAY(
      SELECT u.number FROM unnest(v_digests, v_numbers) AS u (digest, number)
      WHERE u.digest = (
        SELECT p.key_digest FROM tallymark.pruned_update AS p
        WHERE p.job_id = v_job_id AND p.key_digest = u.digest LIMIT 1));
  END LOOP;
  RETURN v_known;
END
$$;

COMMENT ON FUNCTION tallymark.known_pruned_updates(tallymark.batch_update[], tallymark.job[]) IS
'Finds which updates of a batch have events that were pruned.
Arguments: updates: as judge_update gives them; jobs: their jobs, which the caller has locked.
Returns: their numbers.';

REVOKE ALL ON FUNCTION tallymark.known_pruned_updates(tallymark.batch_update[], tallymark.job[]) FROM PUBLIC;
