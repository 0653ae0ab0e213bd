-- Computes the areas of a job from its ledger alone.

CREATE OR REPLACE FUNCTION tallymark.fold_areas(job_id text, up_to_seq bigint DEFAULT NULL)
RETURNS TABLE (full_path text, details jsonb, clocks jsonb, discovered_at timestamptz)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  RETURN QUERY
  SELECT n.path, jsonb_object_agg(n.name, n.value),
    jsonb_object_agg(n.name, jsonb_build_array(n.at, n.update_key)),
    min(n.first_at)
  FROM (
    -- The newest value of each member of each area.
    SELECT DISTINCT ON (g.path, g.name) g.path, g.name, g.value, g.at, g.update_key,
      min(g.occurred_at) OVER (PARTITION BY g.path) AS first_at
    FROM (
      SELECT a.value ->> 'fullPath' AS path, m.key AS name, m.value,
        (extract(epoch FROM e.occurred_at) * 1000000)::bigint AS at, e.update_key, e.occurred_at
      FROM tallymark.job_event AS e, jsonb_array_elements(e.payload -> 'areas') AS a,
        jsonb_each(a.value - 'fullPath') AS m
      WHERE e.job_id = fold_areas.job_id AND e.payload ? 'areas'
        AND (fold_areas.up_to_seq IS NULL OR e.seq <= fold_areas.up_to_seq)
      UNION ALL
      -- The areas of pruned updates.
      SELECT b.full_path, m.key, m.value, (b.clocks -> m.key ->> 0)::bigint,
        (b.clocks -> m.key ->> 1) COLLATE "C", b.discovered_at
      FROM tallymark.job_baseline_area AS b, jsonb_each(b.details) AS m
      WHERE b.job_id = fold_areas.job_id
    ) AS g
    ORDER BY g.path, g.name, g.at DESC, g.update_key COLLATE "C" DESC
  ) AS n
  GROUP BY n.path;
END
$$;

COMMENT ON FUNCTION tallymark.fold_areas(text, bigint) IS
'Computes the areas of a job again from its ledger alone; where events were pruned, from the baseline and the events
after it.
Arguments: job_id: the job; up_to_seq: the number of the last event that counts, null for all, not below
job.pruned_seq.
Returns: rows as those of tallymark.job_area.';

REVOKE ALL ON FUNCTION tallymark.fold_areas(text, bigint) FROM PUBLIC;
