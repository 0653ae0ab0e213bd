-- Lists the running jobs that are reported on most often.

CREATE OR REPLACE FUNCTION tallymark.busiest_jobs(max_jobs integer DEFAULT 20, id_prefix text DEFAULT NULL)
RETURNS TABLE (id text, per_minute numeric, median_gap interval, long_gap interval, last_update timestamptz)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_custom_plan
AS $$
DECLARE
  c_looked_at CONSTANT integer := 500;
  v_ids CONSTANT text[] := ARRAY(
    SELECT r.id FROM tallymark.job AS r
    WHERE r.status = 'running' AND (busiest_jobs.id_prefix IS NULL OR starts_with(r.id, busiest_jobs.id_prefix))
    ORDER BY r.created_at DESC, r.id DESC
    LIMIT c_looked_at);
BEGIN
  RETURN QUERY
  SELECT j.id, f.per_minute, f.median_gap, f.long_gap, f.last_update
  FROM unnest(v_ids) AS j (id)
  CROSS JOIN LATERAL tallymark.update_frequency(j.id) AS f
  ORDER BY f.per_minute DESC NULLS LAST, f.last_update DESC NULLS LAST, j.id
  LIMIT least(greatest(coalesce(busiest_jobs.max_jobs, 20), 0), c_looked_at);
END
$$;

COMMENT ON FUNCTION tallymark.busiest_jobs(integer, text) IS
'Lists the running jobs that are reported on most often, among the 500 that were registered last.
Arguments: max_jobs: how many jobs at most, 0 to 500, null for 20; id_prefix: only jobs whose ids begin with this,
null for all.
Returns: rows of id, per_minute, median_gap, long_gap and last_update (see update_frequency), the most frequently
reported first, those without a frequency last.
Callers: tallymark_reader, tallymark_admin.
Cost: reads the newest 100 updates of each of these jobs (job_status_created_idx).';

REVOKE ALL ON FUNCTION tallymark.busiest_jobs(integer, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.busiest_jobs(integer, text) TO tallymark_reader, tallymark_admin;
