-- Gives what jobs say about an area, from the jobs that the caller may see.

CREATE OR REPLACE FUNCTION tallymark.area_as_seen(full_path text, id_prefix text, job_id text)
RETURNS TABLE (parent_path text, type text, name text)
LANGUAGE plpgsql STABLE ROWS 1
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  RETURN QUERY
  SELECT a.parent_path, a.type, a.details ->> 'name'
  FROM tallymark.job_area AS a
  WHERE a.full_path = area_as_seen.full_path
    AND (area_as_seen.job_id IS NULL OR a.job_id = area_as_seen.job_id)
    AND (area_as_seen.id_prefix IS NULL OR starts_with(a.job_id, area_as_seen.id_prefix))
  ORDER BY a.discovered_at DESC, a.job_id
  LIMIT 1;
END
$$;

COMMENT ON FUNCTION tallymark.area_as_seen(text, text, text) IS
'Gives what the job that discovered an area last says about it.
Arguments: full_path: the area; id_prefix: only jobs whose ids begin with this, null for all; job_id: only this job,
null for all.
Returns: one row of parent_path, type and name; none where none of these jobs discovered it.';

REVOKE ALL ON FUNCTION tallymark.area_as_seen(text, text, text) FROM PUBLIC;
