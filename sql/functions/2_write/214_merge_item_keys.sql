-- Stores the keys of items as rows of their jobs, one per key, and says how many were new. So a job's count is the size
-- of a set: order, repetition, workers and restarts make no difference.

CREATE OR REPLACE FUNCTION tallymark.merge_item_keys(job_ids text[], seqs bigint[], item_keys jsonb[]) RETURNS jsonb[]
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  v_counted jsonb[];
BEGIN
  WITH given AS MATERIALIZED (
    SELECT u.number, u.job_id, u.seq, t.key AS type, t.value AS digests
    FROM unnest(merge_item_keys.job_ids, merge_item_keys.seqs, merge_item_keys.item_keys) WITH ORDINALITY
      AS u (job_id, seq, item_keys, number), jsonb_each(u.item_keys) AS t
  ), added AS (
    -- In the order of the index. A key of several updates is that of the first.
    INSERT INTO tallymark.job_item AS i (job_id, type, key_digest, seq)
    SELECT k.job_id, k.type, k.key_digest, k.seq
    FROM (
      SELECT DISTINCT ON (g.job_id COLLATE "C", g.type COLLATE "C", d.digest COLLATE "C")
        g.job_id, g.type, decode(d.digest, 'hex') AS key_digest, g.seq
      FROM given AS g, jsonb_array_elements_text(g.digests) AS d (digest)
      ORDER BY g.job_id COLLATE "C", g.type COLLATE "C", d.digest COLLATE "C", g.seq
    ) AS k
    ON CONFLICT ON CONSTRAINT job_item_pkey DO NOTHING
    RETURNING i.job_id, i.type, i.seq
  ), new AS (
    SELECT a.job_id, a.seq, a.type, count(*) AS keys FROM added AS a GROUP BY a.job_id, a.seq, a.type
  )
  SELECT array_agg(c.counted ORDER BY c.number) INTO v_counted
  FROM (
    SELECT g.number, jsonb_object_agg(g.type, coalesce(n.keys, 0)) AS counted
    FROM given AS g LEFT JOIN new AS n ON n.job_id = g.job_id AND n.seq = g.seq AND n.type = g.type
    GROUP BY g.number
  ) AS c;
  RETURN v_counted;
END
$$;

COMMENT ON FUNCTION tallymark.merge_item_keys(text[], bigint[], jsonb[]) IS
'Stores the keys of the items of updates, one row per job, type and key.
Arguments: job_ids: for each update its job, whose row the caller has locked; seqs: the number of its event; item_keys:
its itemKeys, as prepare_item_keys gives them. No update may have been merged before.
Returns: for each update {"type": how many of its keys are new to the job}; a key of several updates is new for the one
with the lowest number.';

REVOKE ALL ON FUNCTION tallymark.merge_item_keys(text[], bigint[], jsonb[]) FROM PUBLIC;
