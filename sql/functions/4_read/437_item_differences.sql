-- Finds where the items that a job has counted by their keys differ from its ledger.

CREATE OR REPLACE FUNCTION tallymark.item_differences(job_id text)
RETURNS TABLE (seq bigint, field text, stored jsonb, folded jsonb)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  c_most CONSTANT integer := 1000;
  v_pruned bigint;
BEGIN
  SELECT coalesce(max(b.seq), 0) INTO v_pruned FROM tallymark.job_baseline AS b
  WHERE b.job_id = item_differences.job_id;
  RETURN QUERY
  WITH items AS (
    -- As in fold_items. Where tables are distributed, a query of a job's rows runs on the machine that has them, and can
    -- call no function that reads others.
    SELECT g.type, g.key_digest, min(g.seq) AS seq
    FROM (
      SELECT t.key COLLATE "C" AS type, decode(d.digest, 'hex') AS key_digest, e.seq
      FROM tallymark.job_event AS e, jsonb_each(e.payload -> 'itemKeys') AS t,
        jsonb_array_elements_text(t.value) AS d (digest)
      WHERE e.job_id = item_differences.job_id AND e.payload ? 'itemKeys'
      UNION ALL
      SELECT i.type, i.key_digest, i.seq FROM tallymark.job_item AS i
      WHERE v_pruned > 0 AND i.job_id = item_differences.job_id AND i.seq <= v_pruned
    ) AS g
    GROUP BY g.type, g.key_digest
  ), rows AS (
    SELECT coalesce(f.seq, s.seq) AS seq,
      format('itemKeys: %s: %s', coalesce(f.type, s.type), encode(coalesce(f.key_digest, s.key_digest), 'hex')) AS field,
      to_jsonb(s.seq) AS stored, to_jsonb(f.seq) AS folded
    FROM (SELECT i.* FROM tallymark.job_item AS i WHERE i.job_id = item_differences.job_id) AS s
    FULL JOIN items AS f ON f.type = s.type COLLATE "C" AND f.key_digest = s.key_digest
    WHERE s.seq IS DISTINCT FROM f.seq
  ), events AS (
    -- How many new keys each event had: as its details say, and as its keys add up.
    SELECT t.seq, t.stored, jsonb_object_agg(t.type, coalesce(n.keys, 0)) AS folded
    FROM (
      SELECT e.seq, e.details -> 'counted' AS stored, k.type
      FROM tallymark.job_event AS e, jsonb_object_keys(e.payload -> 'itemKeys') AS k (type)
      WHERE e.job_id = item_differences.job_id AND e.payload ? 'itemKeys'
    ) AS t
    LEFT JOIN (
      SELECT i.seq, i.type, count(*) AS keys FROM items AS i GROUP BY i.seq, i.type
    ) AS n ON n.seq = t.seq AND n.type = t.type COLLATE "C"
    GROUP BY t.seq, t.stored
  )
  SELECT d.seq, d.field, d.stored, d.folded
  FROM (
    SELECT r.* FROM rows AS r
    UNION ALL
    SELECT v.seq, 'counted', v.stored, v.folded FROM events AS v WHERE v.stored IS DISTINCT FROM v.folded
  ) AS d
  ORDER BY d.seq, d.field LIMIT c_most;
END
$$;

COMMENT ON FUNCTION tallymark.item_differences(text) IS
'Finds where the items that a job has counted by their keys differ from its ledger. A row of a key may be missing, be one
too many, or name another event. An event may say another number of new keys than its update had.
Arguments: job_id: the job.
Returns: rows as those of verify_differences, at most 1000, the first ones first; none where all is well.';

REVOKE ALL ON FUNCTION tallymark.item_differences(text) FROM PUBLIC;
