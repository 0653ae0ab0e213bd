-- Lists the runs of a series, the newest first.

CREATE OR REPLACE FUNCTION tallymark.series_runs(series text, max_runs integer DEFAULT 20, id_prefix text DEFAULT NULL)
RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  v_job tallymark.job;
  v_runs jsonb[] := '{}'::jsonb[];
BEGIN
  IF series_runs.series IS NULL THEN
    PERFORM tallymark.refuse_query('series', 'is required');
  END IF;
  FOR v_job IN
    SELECT j.* FROM tallymark.job AS j
    WHERE j.series = series_runs.series AND (series_runs.id_prefix IS NULL OR starts_with(j.id, series_runs.id_prefix))
    ORDER BY j.created_at DESC, j.id DESC
    LIMIT least(greatest(coalesce(series_runs.max_runs, 20), 0), 1000)
  LOOP
    v_runs := v_runs || tallymark.run_document(v_job);
  END LOOP;
  RETURN jsonb_build_object('series', series_runs.series, 'runs', to_jsonb(v_runs),
    'rhythm', tallymark.series_rhythm(series_runs.series, series_runs.id_prefix));
END
$$;

COMMENT ON FUNCTION tallymark.series_runs(text, integer, text) IS
'Lists the runs of a series: the jobs that were registered with this attribute series.
Arguments: series: the series; max_runs: how many at most, 0 to 1000, null for 20; id_prefix: only jobs whose ids begin
with this, null for all.
Returns: {"series", "runs": [{"id", "status", "createdAt", "startedAt", "finishedAt", "seconds": from the start to the
end, or to the newest update, "items": as processed_items, "itemsByType", "percentage", "summary", "shortfall"}], the
one registered last first, "rhythm": {"last", "lastStartedAt", "everySeconds": the median time from start to start,
"dueAt": when the next run is due, "missedAt": from when on it counts as missed, "missed"}, null where no run has
started}.
Errors: TK400 where series is null.
Callers: tallymark_reader, tallymark_admin.
Cost: reads these runs (job_series_idx).';

REVOKE ALL ON FUNCTION tallymark.series_runs(text, integer, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.series_runs(text, integer, text) TO tallymark_reader, tallymark_admin;
