-- Finds which updates of a batch were accepted before and have been pruned since.

CREATE OR REPLACE FUNCTION tallymark.known_pruned_updates(updates tallymark.batch_update[], jobs tallymark.job[])
RETURNS bigint[]
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
-- As in known_updates: the plan is kept, and may be made while the table is small.
SET enable_seqscan = off
SET enable_bitmapscan = off
AS $$
BEGIN
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
