-- Computes which items a job has counted by their keys, from its ledger alone.

CREATE OR REPLACE FUNCTION tallymark.fold_items(job_id text, up_to_seq bigint DEFAULT NULL)
RETURNS TABLE (type text, key_digest bytea, seq bigint)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  v_pruned CONSTANT bigint := coalesce((
    SELECT b.seq FROM tallymark.job_baseline AS b WHERE b.job_id = fold_items.job_id), 0);
BEGIN
  RETURN QUERY
  SELECT g.type, g.key_digest, min(g.seq)
  FROM (
    SELECT t.key COLLATE "C" AS type, decode(d.digest, 'hex') AS key_digest, e.seq
    FROM tallymark.job_event AS e, jsonb_each(e.payload -> 'itemKeys') AS t,
      jsonb_array_elements_text(t.value) AS d (digest)
    WHERE e.job_id = fold_items.job_id AND e.payload ? 'itemKeys'
      AND (fold_items.up_to_seq IS NULL OR e.seq <= fold_items.up_to_seq)
    UNION ALL
    -- Only these rows have the keys of pruned updates.
    SELECT i.type, i.key_digest, i.seq FROM tallymark.job_item AS i
    WHERE v_pruned > 0 AND i.job_id = fold_items.job_id AND i.seq <= v_pruned
  ) AS g
  GROUP BY g.type, g.key_digest;
END
$$;

COMMENT ON FUNCTION tallymark.fold_items(text, bigint) IS
'Computes which items a job has counted by their keys, again from its ledger alone; where events were pruned, from the
keys that these brought and the events after them.
Arguments: job_id: the job; up_to_seq: the number of the last event that counts, null for all, not below
job.pruned_seq.
Returns: rows as those of tallymark.job_item, without job_id.';

REVOKE ALL ON FUNCTION tallymark.fold_items(text, bigint) FROM PUBLIC;
