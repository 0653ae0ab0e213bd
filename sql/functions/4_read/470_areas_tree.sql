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
  v_most_levels CONSTANT integer := least(coalesce(areas_tree.max_depth, c_most_levels), c_most_levels);
  -- The areas as the jobs say them that the caller may see: of several the one that discovered it last, as in area_as_seen.
  v_paths text[];
  v_parents text[];
  v_types text[];
  v_names text[];
  v_level text[];
  v_depths integer[];
BEGIN
  IF areas_tree.job_id IS NOT NULL
    AND NOT EXISTS (SELECT 1 FROM tallymark.job AS j WHERE j.id = areas_tree.job_id)
  THEN
    PERFORM tallymark.refuse_unknown_job(areas_tree.job_id);
  END IF;

  -- 1. Read the areas, in statements of their own: where tables are distributed, no recursive query reads them.
  IF areas_tree.root_path IS NULL THEN
    SELECT array_agg(s.full_path), array_agg(s.parent_path), array_agg(s.type), array_agg(s.name)
    INTO v_paths, v_parents, v_types, v_names
    FROM (
      SELECT DISTINCT ON (a.full_path) a.full_path, a.parent_path, a.type, a.details ->> 'name' AS name
      FROM tallymark.job_area AS a
      WHERE (areas_tree.job_id IS NULL OR a.job_id = areas_tree.job_id)
        AND (areas_tree.id_prefix IS NULL OR starts_with(a.job_id, areas_tree.id_prefix))
      ORDER BY a.full_path, a.discovered_at DESC, a.job_id
    ) AS s;
  ELSE
    SELECT array_agg(areas_tree.root_path), array_agg(s.parent_path), array_agg(s.type), array_agg(s.name)
    INTO v_paths, v_parents, v_types, v_names
    FROM tallymark.area_as_seen(areas_tree.root_path, areas_tree.id_prefix, areas_tree.job_id) AS s;
    v_level := v_paths;
    FOR v_number IN 1..v_most_levels LOOP
      EXIT WHEN coalesce(cardinality(v_level), 0) = 0;
      v_level := ARRAY(
        SELECT DISTINCT a.full_path FROM tallymark.job_area AS a
        WHERE a.parent_path = ANY (v_level) AND a.full_path <> a.parent_path AND a.full_path <> areas_tree.root_path
          AND (areas_tree.job_id IS NULL OR a.job_id = areas_tree.job_id)
          AND (areas_tree.id_prefix IS NULL OR starts_with(a.job_id, areas_tree.id_prefix)));
      -- Each area has one parent here, so it is reached once, and never from a circle unless root_path is in it.
      SELECT v_paths || array_agg(s.full_path), v_parents || array_agg(s.parent_path), v_types || array_agg(s.type),
        v_names || array_agg(s.name), array_agg(s.full_path)
      INTO v_paths, v_parents, v_types, v_names, v_level
      FROM (
        SELECT DISTINCT ON (a.full_path) a.full_path, a.parent_path, a.type, a.details ->> 'name' AS name
        FROM tallymark.job_area AS a
        WHERE a.full_path = ANY (v_level)
          AND (areas_tree.job_id IS NULL OR a.job_id = areas_tree.job_id)
          AND (areas_tree.id_prefix IS NULL OR starts_with(a.job_id, areas_tree.id_prefix))
        ORDER BY a.full_path, a.discovered_at DESC, a.job_id
      ) AS s
      WHERE s.parent_path = ANY (v_paths) AND s.full_path <> s.parent_path;
    END LOOP;
  END IF;

  -- 2. Bring them into the order of the tree.
  WITH RECURSIVE areas AS MATERIALIZED (
    SELECT u.path, u.parent, u.type, u.name FROM unnest(v_paths, v_parents, v_types, v_names) AS u (path, parent, type, name)
  ), walk (area_path, level, trail) AS (
    SELECT t.path, 0, ARRAY[t.path] FROM areas AS t
    WHERE t.path = areas_tree.root_path OR (areas_tree.root_path IS NULL
      -- An area whose parent no job has discovered is at the top, too.
      AND (t.parent IS NULL OR t.parent = t.path OR NOT EXISTS (SELECT FROM areas AS p WHERE p.path = t.parent)))
    UNION ALL
    SELECT c.path, w.level + 1, w.trail || c.path
    FROM walk AS w JOIN areas AS c ON c.parent = w.area_path
    WHERE w.level < v_most_levels AND c.path <> w.area_path AND c.path IS DISTINCT FROM areas_tree.root_path
  ), shown AS (
    SELECT w.area_path, w.level, w.trail FROM walk AS w
    UNION ALL
    -- The rest is in a circle or too deep; all of it is shown at the top.
    SELECT t.path, 0, ARRAY[t.path] FROM areas AS t
    WHERE areas_tree.root_path IS NULL AND areas_tree.max_depth IS NULL
      AND NOT EXISTS (SELECT FROM walk AS w WHERE w.area_path = t.path)
  )
  SELECT array_agg(s.area_path ORDER BY s.place), array_agg(s.parent ORDER BY s.place),
    array_agg(s.level ORDER BY s.place), array_agg(s.type ORDER BY s.place), array_agg(s.name ORDER BY s.place)
  INTO v_paths, v_parents, v_depths, v_types, v_names
  FROM (
    SELECT h.area_path, h.level, t.parent, t.type, t.name, row_number() OVER (ORDER BY h.trail COLLATE "C") AS place
    FROM shown AS h JOIN areas AS t ON t.path = h.area_path
    ORDER BY place LIMIT least(greatest(coalesce(areas_tree.max_areas, 1000), 0), 10000)
  ) AS s;

  -- 3. How many jobs know each of those that are shown.
  RETURN QUERY
  SELECT s.path, s.parent, s.depth, s.type, s.name, k.jobs
  FROM unnest(v_paths, v_parents, v_depths, v_types, v_names) WITH ORDINALITY AS s (path, parent, depth, type, name, place)
  JOIN (
    SELECT a.full_path, count(*) AS jobs FROM tallymark.job_area AS a
    WHERE a.full_path = ANY (v_paths) AND (areas_tree.id_prefix IS NULL OR starts_with(a.job_id, areas_tree.id_prefix))
    GROUP BY a.full_path
  ) AS k ON k.full_path = s.path
  ORDER BY s.place;
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
