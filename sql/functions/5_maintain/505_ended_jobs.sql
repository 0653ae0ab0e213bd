-- Lists the jobs that ended long ago.

CREATE OR REPLACE FUNCTION tallymark.ended_jobs(
  ended_before timestamptz, after_id text DEFAULT '', max_jobs integer DEFAULT 1000
) RETURNS TABLE (id text, last_seq bigint, ended_at timestamptz)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_custom_plan
AS $$
DECLARE
  v_most CONSTANT integer := least(greatest(coalesce(ended_jobs.max_jobs, 1000), 0), 10000);
BEGIN
  RETURN QUERY
  -- By index, status by status, so that jobs that have not ended are not read. By the crawlers' clocks and by ours: a job
  -- that ended long ago but was reported on today stays.
  SELECT j.id, j.last_seq, j.finished_at
  FROM (
    (SELECT n.id, n.last_seq, n.finished_at FROM tallymark.job AS n
      WHERE n.status = 'finished' AND n.id > ended_jobs.after_id COLLATE "C"
        AND n.finished_at < ended_jobs.ended_before AND n.updated_at < ended_jobs.ended_before
      ORDER BY n.id LIMIT v_most)
    UNION ALL
    (SELECT n.id, n.last_seq, n.finished_at FROM tallymark.job AS n
      WHERE n.status = 'failed' AND n.id > ended_jobs.after_id COLLATE "C"
        AND n.finished_at < ended_jobs.ended_before AND n.updated_at < ended_jobs.ended_before
      ORDER BY n.id LIMIT v_most)
    UNION ALL
    (SELECT n.id, n.last_seq, n.finished_at FROM tallymark.job AS n
      WHERE n.status = 'cancelled' AND n.id > ended_jobs.after_id COLLATE "C"
        AND n.finished_at < ended_jobs.ended_before AND n.updated_at < ended_jobs.ended_before
      ORDER BY n.id LIMIT v_most)
  ) AS j
  ORDER BY j.id LIMIT v_most;
END
$$;

COMMENT ON FUNCTION tallymark.ended_jobs(timestamptz, text, integer) IS
'Lists the jobs in a terminal status that ended and were last reported on before a moment, in the order of their ids, a
page at a time.
Arguments: ended_before: the moment; after_id: the last id already seen, empty for the first page; max_jobs: how many
jobs at most, 0 to 10000, null for 1000.
Returns: rows of id, last_seq (the expected_seq of delete_job), ended_at.
Callers: tallymark_admin.
Cost: reads job_status_idx from after_id on.';

REVOKE ALL ON FUNCTION tallymark.ended_jobs(timestamptz, text, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.ended_jobs(timestamptz, text, integer) TO tallymark_admin;
