-- Lists the ids of all jobs, a page at a time.

CREATE OR REPLACE FUNCTION tallymark.job_ids(after_id text DEFAULT '', max_jobs integer DEFAULT 1000)
RETURNS TABLE (id text)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  RETURN QUERY
  SELECT j.id FROM tallymark.job AS j
  WHERE j.id > job_ids.after_id COLLATE "C"
  ORDER BY j.id
  LIMIT least(greatest(coalesce(job_ids.max_jobs, 1000), 0), 10000);
END
$$;

COMMENT ON FUNCTION tallymark.job_ids(text, integer) IS
'Lists the ids of all jobs in the order of their bytes, a page at a time.
Arguments: after_id: the last id already seen, empty for the first page; max_jobs: how many ids at most, 0 to 10000,
null for 1000.
Returns: rows of id.
Callers: tallymark_reader, tallymark_admin.';

REVOKE ALL ON FUNCTION tallymark.job_ids(text, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.job_ids(text, integer) TO tallymark_reader, tallymark_admin;
