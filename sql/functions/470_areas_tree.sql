-- The areas that jobs discovered, as a tree.

CREATE OR REPLACE FUNCTION tallymark.areas_tree(
  root_path text DEFAULT NULL, max_depth integer DEFAULT NULL, max_areas integer DEFAULT 1000,
  id_prefix text DEFAULT NULL, job_id text DEFAULT NULL
) RETURNS TABLE (path text, parent text, depth integer, type text, name text, jobs bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_custom_plan
AS $$
BEGIN
  IF areas_tree.job_id IS NOT NULL
    AND NOT EXISTS (SELECT FROM tallymark.job AS j WHERE j.id = areas_tree.job_id)
  THEN
    PERFORM tallymark.refuse_unknown_job(areas_tree.job_id);
  END IF;
  RETURN QUERY
  WITH RECURSIVE walk (area_path, level, trail) AS (
    SELECT DISTINCT a.full_path, 0, ARRAY[a.full_path]
    FROM tallymark.job_area AS a
    WHERE (areas_tree.job_id IS NULL OR a.job_id = areas_tree.job_id)
      AND (areas_tree.id_prefix IS NULL OR starts_with(a.job_id, areas_tree.id_prefix))
      AND CASE WHEN areas_tree.root_path IS NULL THEN
        -- At the top is also what belongs to an area that nobody has discovered.
        a.parent_path IS NULL OR a.parent_path = a.full_path OR NOT EXISTS (
          SELECT FROM tallymark.job_area AS p WHERE p.full_path = a.parent_path
            AND (areas_tree.job_id IS NULL OR p.job_id = areas_tree.job_id)
            AND (areas_tree.id_prefix IS NULL OR starts_with(p.job_id, areas_tree.id_prefix)))
        ELSE a.full_path = areas_tree.root_path END
    UNION ALL
    SELECT c.full_path, w.level + 1, w.trail || c.full_path
    FROM walk AS w
    CROSS JOIN LATERAL (
      SELECT DISTINCT a.full_path FROM tallymark.job_area AS a
      WHERE a.parent_path = w.area_path
        AND (areas_tree.job_id IS NULL OR a.job_id = areas_tree.job_id)
        AND (areas_tree.id_prefix IS NULL OR starts_with(a.job_id, areas_tree.id_prefix))
    ) AS c
    WHERE (areas_tree.max_depth IS NULL OR w.level < areas_tree.max_depth)
      AND c.full_path <> ALL (w.trail) -- crawlers may say that two areas are each other's parent
  ), reached AS (
    -- Where jobs do not agree on where an area belongs, its shortest way is shown.
    SELECT DISTINCT ON (w.area_path) w.* FROM walk AS w ORDER BY w.area_path, w.level, w.trail
  ), shown AS (
    SELECT r.* FROM reached AS r
    UNION ALL
    -- The rest is what goes round in a circle; all of it is shown at the top.
    SELECT DISTINCT a.full_path, 0, ARRAY[a.full_path]
    FROM tallymark.job_area AS a
    WHERE areas_tree.root_path IS NULL AND areas_tree.max_depth IS NULL
      AND (areas_tree.job_id IS NULL OR a.job_id = areas_tree.job_id)
      AND (areas_tree.id_prefix IS NULL OR starts_with(a.job_id, areas_tree.id_prefix))
      AND NOT EXISTS (SELECT FROM reached AS r WHERE r.area_path = a.full_path)
    ORDER BY 3
    LIMIT least(greatest(coalesce(areas_tree.max_areas, 1000), 0), 10000)
  )
  SELECT s.area_path, n.parent_path, s.level, n.type, n.name, n.jobs
  FROM shown AS s
  CROSS JOIN LATERAL (
    SELECT count(*) AS jobs,
      -- A job's area is a row, and what the job that found it last says of it is shown.
      (array_agg(a.parent_path ORDER BY a.discovered_at DESC, a.job_id))[1] AS parent_path,
      (array_agg(a.type ORDER BY a.discovered_at DESC, a.job_id))[1] AS type,
      (array_agg(a.details ->> 'name' ORDER BY a.discovered_at DESC, a.job_id))[1] AS name
    FROM tallymark.job_area AS a
    WHERE a.full_path = s.area_path
      AND (areas_tree.id_prefix IS NULL OR starts_with(a.job_id, areas_tree.id_prefix))
  ) AS n
  ORDER BY s.trail;
END
$$;

COMMENT ON FUNCTION tallymark.areas_tree(text, integer, integer, text, text) IS
'The areas that jobs discovered, each followed by those that belong to it.
Arguments: root_path, the area to begin with, null for all at the top; max_depth, how far below these, null for all the
way; max_areas, at most 10000, null for 1000; id_prefix, only what jobs whose id begins like this discovered, null for
all; job_id, only what this job discovered, null for all.
Areas that are said to belong to each other are at the top, and left out where max_depth is given.
Returns: rows of path; parent, the path of the area it belongs to, null at the top; depth, 0 for where it begins; type;
name, null where none was given; jobs, how many jobs discovered it. Nothing for a root_path that nobody discovered.
Errors: TK404, no such job.
Cost: with root_path or job_id what is below, by indexes; else all areas are looked at once for those at the top, and
with max_depth only these go further.';

REVOKE ALL ON FUNCTION tallymark.areas_tree(text, integer, integer, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.areas_tree(text, integer, integer, text, text)
  TO tallymark_reader, tallymark_admin;
