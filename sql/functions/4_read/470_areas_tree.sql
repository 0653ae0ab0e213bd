-- Lists the areas that jobs discovered, as a tree.

CREATE OR REPLACE FUNCTION tallymark.areas_tree(
  root_path text DEFAULT NULL, max_depth integer DEFAULT NULL, max_areas integer DEFAULT 1000,
  id_prefix text DEFAULT NULL, job_id text DEFAULT NULL
) RETURNS TABLE (path text, parent text, depth integer, type text, name text, jobs bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_custom_plan
AS $$
DECLARE
  c_most_levels CONSTANT integer := 100;
BEGIN
  IF areas_tree.job_id IS NOT NULL
    AND NOT EXISTS (SELECT FROM tallymark.job AS j WHERE j.id = areas_tree.job_id)
  THEN
    PERFORM tallymark.refuse_unknown_job(areas_tree.job_id);
  END IF;
  RETURN QUERY
  WITH RECURSIVE walk (area_path, level, trail) AS (
    SELECT t.full_path, 0, ARRAY[t.full_path]
    FROM (
      SELECT DISTINCT ON (a.full_path) a.full_path, a.parent_path -- as in area_as_seen, in one pass
      FROM tallymark.job_area AS a
      WHERE (areas_tree.job_id IS NULL OR a.job_id = areas_tree.job_id)
        AND (areas_tree.id_prefix IS NULL OR starts_with(a.job_id, areas_tree.id_prefix))
        AND (areas_tree.root_path IS NULL OR a.full_path = areas_tree.root_path)
      ORDER BY a.full_path, a.discovered_at DESC, a.job_id
    ) AS t
    WHERE areas_tree.root_path IS NOT NULL
      -- An area whose parent no job has discovered is at the top, too.
      OR t.parent_path IS NULL OR t.parent_path = t.full_path OR NOT EXISTS (
        SELECT FROM tallymark.job_area AS p
        WHERE p.full_path = t.parent_path AND (areas_tree.job_id IS NULL OR p.job_id = areas_tree.job_id)
          AND (areas_tree.id_prefix IS NULL OR starts_with(p.job_id, areas_tree.id_prefix)))
    UNION ALL
    -- Each area has one parent here, so it is reached once, and never from a circle unless root_path is in it.
    SELECT c.full_path, w.level + 1, w.trail || c.full_path
    FROM walk AS w
    CROSS JOIN LATERAL (
      SELECT DISTINCT a.full_path FROM tallymark.job_area AS a
      WHERE a.parent_path = w.area_path AND a.full_path <> w.area_path
        AND (areas_tree.job_id IS NULL OR a.job_id = areas_tree.job_id)
        AND (areas_tree.id_prefix IS NULL OR starts_with(a.job_id, areas_tree.id_prefix))
    ) AS c
    CROSS JOIN LATERAL tallymark.area_as_seen(c.full_path, areas_tree.id_prefix, areas_tree.job_id) AS n
    WHERE w.level < least(coalesce(areas_tree.max_depth, c_most_levels), c_most_levels)
      AND n.parent_path = w.area_path AND c.full_path IS DISTINCT FROM areas_tree.root_path
  ), shown AS (
    SELECT w.* FROM walk AS w
    UNION ALL
    -- The rest is in a circle or too deep; all of it is shown at the top.
    SELECT DISTINCT a.full_path, 0, ARRAY[a.full_path]
    FROM tallymark.job_area AS a
    WHERE areas_tree.root_path IS NULL AND areas_tree.max_depth IS NULL
      AND (areas_tree.job_id IS NULL OR a.job_id = areas_tree.job_id)
      AND (areas_tree.id_prefix IS NULL OR starts_with(a.job_id, areas_tree.id_prefix))
      AND NOT EXISTS (SELECT FROM walk AS w WHERE w.area_path = a.full_path)
    ORDER BY 3
    LIMIT least(greatest(coalesce(areas_tree.max_areas, 1000), 0), 10000)
  )
  SELECT s.area_path, n.parent_path, s.level, n.type, n.name, (
    SELECT count(*) FROM tallymark.job_area AS a
    WHERE a.full_path = s.area_path
      AND (areas_tree.id_prefix IS NULL OR starts_with(a.job_id, areas_tree.id_prefix)))
  FROM shown AS s
  CROSS JOIN LATERAL tallymark.area_as_seen(s.area_path, areas_tree.id_prefix, areas_tree.job_id) AS n
  ORDER BY s.trail;
END
$$;

COMMENT ON FUNCTION tallymark.areas_tree(text, integer, integer, text, text) IS
'Lists the areas that jobs discovered as a tree: each is followed by the areas that belong to it. Where jobs disagree
about an area, the one that discovered it last counts. Areas whose parents form a circle, and areas more than 100
levels deep, are listed at the top where neither root_path nor max_depth is given.
Arguments: root_path: the area to begin with, null for all at the top; max_depth: how many levels below these, at most
100, null for 100; max_areas: how many rows at most, 0 to 10000, null for 1000; id_prefix: only areas of jobs whose
ids begin with this, null for all; job_id: only areas of this job, null for all.
Returns: rows of path; parent (the path of the area it belongs to, which may be one that no job discovered, null where
there is none); depth (0 for where the tree begins); type; name (null where none was given); jobs (how many of the
jobs with id_prefix discovered it). No rows for a root_path that no job discovered.
Errors: TK404 where there is no such job; TK400 where job_id is empty or too long.
Callers: tallymark_reader, tallymark_admin.
Cost: a few index lookups for each area below root_path, of the job, or else of all there are.';

REVOKE ALL ON FUNCTION tallymark.areas_tree(text, integer, integer, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.areas_tree(text, integer, integer, text, text)
  TO tallymark_reader, tallymark_admin;
