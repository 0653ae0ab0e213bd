-- Holds a run against the runs of its series before it: the one definition of usual, unusual and expected.

CREATE OR REPLACE FUNCTION tallymark.run_comparison(job tallymark.job, id_prefix text DEFAULT NULL) RETURNS jsonb
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  c_runs CONSTANT integer := 10;
  c_least_runs CONSTANT integer := 3; -- fewer say nothing about what is usual
  c_early CONSTANT numeric := 0.1; -- of the usual time: before that, a report more or less decides
  v_items CONSTANT numeric := tallymark.processed_items(job.progress);
  v_seconds CONSTANT numeric :=
    extract(epoch FROM coalesce(job.finished_at, job.newest_at) - job.started_at);
  v_run record;
  v_pace tallymark.job_pace;
  v_place integer;
  v_there numeric;
  v_then numeric[] := '{}'::numeric[];
  v_totals numeric[] := '{}'::numeric[];
  v_took numeric[] := '{}'::numeric[];
  v_needed numeric[] := '{}'::numeric[];
  v_usual_seconds numeric;
  v_expected numeric;
BEGIN
  IF job.series IS NULL THEN
    RETURN NULL;
  END IF;
  FOR v_run IN
    SELECT r.id, extract(epoch FROM r.finished_at - r.started_at) AS seconds,
      tallymark.processed_items(r.progress) AS items
    FROM tallymark.job AS r
    WHERE r.series = job.series AND (r.created_at, r.id) < (job.created_at, job.id) AND r.status = 'finished'
      AND (run_comparison.id_prefix IS NULL OR starts_with(r.id, run_comparison.id_prefix))
    ORDER BY r.created_at DESC, r.id DESC
    LIMIT c_runs
  LOOP
    v_pace := tallymark.run_pace(v_run.id);
    v_then := v_then || coalesce(v_pace.items[width_bucket(v_seconds, v_pace.at_seconds)],
      CASE WHEN v_seconds IS NOT NULL THEN 0 END);
    v_totals := v_totals || v_run.items;
    v_took := v_took || v_run.seconds;
    -- When that run had as many items as this one has now; at its end, where it never had as many.
    v_place := width_bucket(v_items, v_pace.items);
    v_there := v_pace.at_seconds[CASE WHEN v_pace.items[v_place] = v_items THEN v_place ELSE v_place + 1 END];
    -- As many times longer as this run took longer to here.
    v_needed := v_needed || coalesce(v_seconds * v_run.seconds / nullif(coalesce(v_there, v_run.seconds), 0), v_run.seconds);
  END LOOP;
  SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY t.seconds) INTO v_usual_seconds FROM unnest(v_took) AS t (seconds);
  IF v_items > 0 AND v_seconds >= c_early * v_usual_seconds THEN
    SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY n.seconds) INTO v_expected FROM unnest(v_needed) AS n (seconds);
  ELSE
    v_expected := v_usual_seconds;
  END IF;
  RETURN (
    SELECT jsonb_build_object('runs', cardinality(v_then),
      'elapsedSeconds', trim_scale(round(v_seconds, 3)), 'items', v_items,
      'usual', trim_scale(round((percentile_cont(0.5) WITHIN GROUP (ORDER BY t.items))::numeric, 1)),
      'lowest', min(t.items), 'highest', max(t.items),
      'usualTotal', (SELECT round((percentile_cont(0.5) WITHIN GROUP (ORDER BY o.items))::numeric)
        FROM unnest(v_totals) AS o (items)),
      'usualSeconds', trim_scale(round(v_usual_seconds, 3)),
      'expectedTotal', CASE WHEN cardinality(v_then) > 0 THEN greatest(v_items,
        (SELECT round((percentile_cont(0.5) WITHIN GROUP (ORDER BY o.items))::numeric) FROM unnest(v_totals) AS o (items)))
        END,
      'expectedSeconds', trim_scale(round(v_expected, 3)),
      'expectedEnd', CASE WHEN job.finished_at IS NULL THEN tallymark.iso_timestamp(date_trunc('milliseconds',
        job.started_at + v_expected * interval '1 second')) END,
      'unusual', job.status = 'running' AND cardinality(v_then) >= c_least_runs
        AND v_seconds >= c_early * v_usual_seconds AND 2 * v_items < min(t.items))
    FROM unnest(v_then) AS t (items));
END
$$;

COMMENT ON FUNCTION tallymark.run_comparison(tallymark.job, text) IS
'Holds a run against the last 10 finished runs of its series that were registered before it, at the same time since the
start. The time of the run is that of its newest update, by its crawlers'' clocks, so a run that is silent is not
unusual, but stalled.
Arguments: job: a row of tallymark.job; id_prefix: only runs whose ids begin with this, null for all.
Returns: {"runs": how many it is held against, "elapsedSeconds", "items": processed_items, "usual": the median of what
they had at that time, "lowest", "highest", "usualTotal", "usualSeconds": the medians at their ends, "expectedTotal":
usualTotal, or more where the run has more already, "expectedSeconds": how long it will take in all: as many times
longer than they took as it took longer to where it is, "expectedEnd": the instant, null for a run that has ended,
"unusual": whether it is running, and has fewer than half of the items of the lowest of at least 3 runs, after at least
a tenth of their usual time}; null where the job has no series. A value that is not known is null.
Cost: that of run_pace for each of the 10 runs.';

REVOKE ALL ON FUNCTION tallymark.run_comparison(tallymark.job, text) FROM PUBLIC;
