-- Lists the areas that a job discovered.

CREATE OR REPLACE FUNCTION tallymark.job_areas(job_id text, max_areas integer DEFAULT 1000)
RETURNS TABLE (path text, parent text, depth integer, type text, name text, jobs bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF job_areas.job_id IS NULL THEN
    PERFORM tallymark.refuse_unknown_job(job_areas.job_id);
  END IF;
  RETURN QUERY
  SELECT t.* FROM tallymark.areas_tree(job_id => job_areas.job_id, max_areas => job_areas.max_areas) AS t;
END
$$;

COMMENT ON FUNCTION tallymark.job_areas(text, integer) IS
'Lists the areas that a job discovered as a tree: each is followed by the areas that belong to it.
Arguments: job_id: a registered job; max_areas: how many rows at most, 0 to 10000, null for 1000.
Returns: rows as those of areas_tree; jobs counts all jobs that discovered the area.
Errors: TK404 where there is no such job; TK400 where job_id is null, empty or too long.
Callers: tallymark_reader, tallymark_admin.';

REVOKE ALL ON FUNCTION tallymark.job_areas(text, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.job_areas(text, integer) TO tallymark_reader, tallymark_admin;
