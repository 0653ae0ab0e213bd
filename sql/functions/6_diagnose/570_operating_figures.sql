-- Gives the figures by which the whole system is monitored.

CREATE OR REPLACE FUNCTION tallymark.operating_figures(never_reported interval DEFAULT '1 hour') RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_custom_plan
AS $$
DECLARE
  c_most_jobs CONSTANT integer := 100000;
  v_now CONSTANT timestamptz := clock_timestamp();
  v_stalled CONSTANT jsonb := (
    SELECT jsonb_object_agg(s.state, s.jobs)
    FROM (SELECT n.state, count(*) AS jobs
      FROM tallymark.stalled_jobs(never_reported => operating_figures.never_reported) AS n GROUP BY n.state) AS s);
  v_sizes CONSTANT jsonb := tallymark.database_figures();
BEGIN
  RETURN jsonb_build_object(
    'jobs', (
      SELECT jsonb_object_agg(s.key, s.value -> 'jobs')
      FROM jsonb_each(tallymark.jobs_by_status(NULL, c_most_jobs) -> 'statuses') AS s),
    'stalled', coalesce(v_stalled -> 'stuck', '0')::bigint + coalesce(v_stalled -> 'silent', '0')::bigint,
    'stuck', coalesce(v_stalled -> 'stuck', '0'), 'silent', coalesce(v_stalled -> 'silent', '0'),
    'neverReported', coalesce(v_stalled -> 'never_reported', '0'),
    'alerts', (
      SELECT coalesce(jsonb_object_agg(a.kind, a.alerts), '{}')
      FROM (SELECT o.kind, count(*) AS alerts FROM tallymark.alert AS o WHERE o.recovered_at IS NULL GROUP BY 1) AS a),
    'checks', (
      SELECT jsonb_build_object('exact', count(*) FILTER (WHERE c.exact), 'differing', count(*) FILTER (WHERE NOT c.exact),
        'oldestSeconds', round(extract(epoch FROM v_now - min(c.checked_at))),
        'newestSeconds', round(extract(epoch FROM v_now - max(c.checked_at))))
      FROM tallymark.job_check AS c),
    'tables', (
      SELECT jsonb_object_agg(t ->> 'table', jsonb_build_object('rows', t -> 'rows', 'deadRows', t -> 'deadRows',
        'bytes', (t ->> 'bytes')::bigint + (t ->> 'indexBytes')::bigint))
      FROM jsonb_array_elements(v_sizes -> 'tables') AS t))
    || tallymark.without_nulls(jsonb_build_object('nodes', v_sizes -> 'nodes'));
END
$$;

COMMENT ON FUNCTION tallymark.operating_figures(interval) IS
'Gives the figures by which the whole system is monitored.
Arguments: never_reported: as that of stalled_jobs.
Returns: {"jobs": {status: how many, counted up to 100000 for each status}, "stalled": how many running and waiting jobs
are stuck or silent, "stuck" and "silent": how many of each, "neverReported": how many were never reported on (at most
1000 of these together, see stalled_jobs), "alerts": {kind: how many are open}, "checks": {"exact" and "differing": how
many jobs, of those that were verified, "oldestSeconds" and "newestSeconds": how long ago}, "tables": {name: {"rows" and
"deadRows" (both are estimates), "bytes": with indexes}}}. Where the jobs are distributed, also "nodes", and null in
"tables", as database_figures gives them.
Callers: tallymark_reader, tallymark_admin.
Cost: that of stalled_jobs and of counting jobs by an index. Call it every few seconds at most.';

REVOKE ALL ON FUNCTION tallymark.operating_figures(interval) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.operating_figures(interval) TO tallymark_reader, tallymark_admin;
