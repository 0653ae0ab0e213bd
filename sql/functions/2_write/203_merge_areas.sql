-- Stores the areas of an update as rows of its job, one per path.

CREATE OR REPLACE FUNCTION tallymark.merge_areas(job_id text, at timestamptz, key text, areas jsonb) RETURNS jsonb
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  v_microseconds CONSTANT bigint := extract(epoch FROM merge_areas.at) * 1000000; -- as in clocks_of
  v_paths CONSTANT text[] := ARRAY(SELECT a.value ->> 'fullPath' FROM jsonb_array_elements(merge_areas.areas) AS a);
  v_known jsonb;
  v_given text[];
  v_won jsonb[];
  v_before bigint[];
  v_after bigint[];
BEGIN
  SELECT ARRAY[count(*) FILTER (WHERE a.type = 'group'), count(*) FILTER (WHERE a.type = 'project')],
    coalesce(jsonb_object_agg(a.full_path, a.clocks), '{}')
  INTO v_before, v_known
  FROM tallymark.job_area AS a WHERE a.job_id = merge_areas.job_id AND a.full_path = ANY (v_paths);

  -- Each member has the value of the newest update that gave it, like the fields of a job. Nobody else changes the areas
  -- meanwhile, because the job's row is locked.
  SELECT array_agg(g.value ->> 'fullPath'), array_agg(CASE WHEN v_known ? (g.value ->> 'fullPath') THEN (
    SELECT coalesce(jsonb_object_agg(m.key, m.value), '{}')
    FROM jsonb_each(g.value - 'fullPath') AS m
    LEFT JOIN jsonb_each(v_known -> (g.value ->> 'fullPath')) AS c ON c.key = m.key
    WHERE c.key IS NULL OR (v_microseconds, merge_areas.key COLLATE "C")
      > ((c.value ->> 0)::bigint, (c.value ->> 1) COLLATE "C")) ELSE g.value - 'fullPath' END)
  INTO v_given, v_won FROM jsonb_array_elements(merge_areas.areas) AS g;
  INSERT INTO tallymark.job_area AS a (job_id, full_path, details, clocks, discovered_at)
  SELECT merge_areas.job_id, w.path, w.details,
    tallymark.clocks_of(ARRAY(SELECT m.name FROM jsonb_object_keys(w.details) AS m (name)),
      merge_areas.at, merge_areas.key),
    merge_areas.at
  FROM unnest(v_given, v_won) AS w (path, details)
  ON CONFLICT ON CONSTRAINT job_area_pkey DO UPDATE SET
    details = a.details || excluded.details, clocks = a.clocks || excluded.clocks,
    discovered_at = least(a.discovered_at, excluded.discovered_at);

  SELECT ARRAY[count(*) FILTER (WHERE a.type = 'group'), count(*) FILTER (WHERE a.type = 'project')] INTO v_after
  FROM tallymark.job_area AS a WHERE a.job_id = merge_areas.job_id AND a.full_path = ANY (v_paths);
  RETURN jsonb_build_object('groups', v_after[1] - v_before[1], 'projects', v_after[2] - v_before[2]);
END
$$;

COMMENT ON FUNCTION tallymark.merge_areas(text, timestamptz, text, jsonb) IS
'Stores the areas of an update, one row per job and path. An area that is discovered again gets the newest value of
each member.
Arguments: job_id: a job whose row the caller has locked; at, key: time and key of the update, which must not have
been merged before; areas: as prepare_areas gives them.
Returns: {"groups": n, "projects": n}: how many more of them the job has now (negative where an area turned out to be
of another type).';

REVOKE ALL ON FUNCTION tallymark.merge_areas(text, timestamptz, text, jsonb) FROM PUBLIC;
