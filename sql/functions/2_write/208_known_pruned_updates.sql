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
  v_known bigint[] := '{}'::bigint[];
BEGIN
  IF to_regclass('pg_catalog.pg_dist_partition') IS NOT NULL THEN -- as in known_updates
    FOR v_job_id, v_digests IN
      SELECT u.job_id, array_agg(tallymark.key_digest(u.key)) FROM unnest(known_pruned_updates.updates) AS u
      JOIN unnest(known_pruned_updates.jobs) AS j ON j.id = u.job_id AND j.pruned_seq > 0
      WHERE u.refusal IS NULL GROUP BY u.job_id
    LOOP
      SELECT array_agg(p.key_digest) INTO v_digests FROM tallymark.pruned_update AS p
      WHERE p.job_id = v_job_id AND p.key_digest = ANY (v_digests);
      v_known := v_known || ARRAY(
        SELECT u.number FROM unnest(known_pruned_updates.updates) AS u
        WHERE u.job_id = v_job_id AND u.refusal IS NULL AND tallymark.key_digest(u.key) = ANY (v_digests));
    END LOOP;
    RETURN v_known;
  END IF;
  RETURN ARRAY(
    SELECT u.number FROM unnest(known_pruned_updates.updates) AS u
    JOIN unnest(known_pruned_updates.jobs) AS j ON j.id = u.job_id AND j.pruned_seq > 0
    CROSS JOIN LATERAL (
      SELECT p.seq FROM tallymark.pruned_update AS p
      WHERE p.job_id = u.job_id AND p.key_digest = tallymark.key_digest(u.key) LIMIT 1) AS k
    WHERE u.refusal IS NULL);
END
$$;

COMMENT ON FUNCTION tallymark.known_pruned_updates(tallymark.batch_update[], tallymark.job[]) IS
'Finds which updates of a batch have events that were pruned.
Arguments: updates: as judge_update gives them; jobs: their jobs, which the caller has locked.
Returns: their numbers.';

REVOKE ALL ON FUNCTION tallymark.known_pruned_updates(tallymark.batch_update[], tallymark.job[]) FROM PUBLIC;
