-- The areas of a job, folded from its ledger alone.

CREATE OR REPLACE FUNCTION tallymark.fold_areas(job_id text, up_to_seq bigint DEFAULT NULL)
RETURNS TABLE (full_path text, details jsonb, clocks jsonb, discovered_at timestamptz)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  RETURN QUERY
  SELECT n.path, jsonb_object_agg(n.name, n.value),
    jsonb_object_agg(n.name,
      jsonb_build_array((extract(epoch FROM n.occurred_at) * 1000000)::bigint, n.update_key)),
    min(n.first_at)
  FROM (
    -- Of each member of each area the newest that was given, out of all there are.
    SELECT DISTINCT ON (a.value ->> 'fullPath', m.key)
      a.value ->> 'fullPath' AS path, m.key AS name, m.value, e.occurred_at, e.update_key,
      min(e.occurred_at) OVER (PARTITION BY a.value ->> 'fullPath') AS first_at
    FROM tallymark.job_event AS e, jsonb_array_elements(e.payload -> 'areas') AS a,
      jsonb_each(a.value - 'fullPath') AS m
    WHERE e.job_id = fold_areas.job_id AND e.payload ? 'areas'
      AND (fold_areas.up_to_seq IS NULL OR e.seq <= fold_areas.up_to_seq)
    ORDER BY a.value ->> 'fullPath', m.key, e.occurred_at DESC, e.update_key DESC
  ) AS n
  GROUP BY n.path;
END
$$;

COMMENT ON FUNCTION tallymark.fold_areas(text, bigint) IS
'The areas of a job, folded anew from its ledger alone.
Arguments: job_id; up_to_seq, the number of the last event that counts, null for all.
Returns: rows as those of tallymark.job_area.';

REVOKE ALL ON FUNCTION tallymark.fold_areas(text, bigint) FROM PUBLIC;
