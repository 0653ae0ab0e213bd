-- Shows a job beside the runs of its series before it, or beside another job.

CREATE OR REPLACE FUNCTION tallymark.job_series(
  job_id text, other_id text DEFAULT NULL, max_runs integer DEFAULT 10, id_prefix text DEFAULT NULL
) RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  v_most CONSTANT integer := least(greatest(coalesce(job_series.max_runs, 10), 0), 100);
  v_job tallymark.job;
  v_other tallymark.job;
  v_run tallymark.job;
  v_pace tallymark.job_pace;
  v_runs jsonb[] := '{}'::jsonb[];
  v_shown jsonb;
BEGIN
  SELECT j.* INTO v_job FROM tallymark.job AS j WHERE j.id = job_series.job_id;
  IF NOT FOUND THEN
    PERFORM tallymark.refuse_unknown_job(job_series.job_id);
  END IF;
  v_pace := tallymark.run_pace(v_job.id);
  v_shown := jsonb_build_object('id', v_job.id, 'series', v_job.series,
    'run', tallymark.run_document(v_job) || tallymark.pace_points(v_pace),
    'comparison', tallymark.run_comparison(v_job, job_series.id_prefix),
    'rhythm', tallymark.series_rhythm(v_job.series, job_series.id_prefix));
  FOR v_run IN
    SELECT j.* FROM tallymark.job AS j
    WHERE j.series = v_job.series AND (j.created_at, j.id) < (v_job.created_at, v_job.id)
      AND (job_series.id_prefix IS NULL OR starts_with(j.id, job_series.id_prefix))
    ORDER BY j.created_at DESC, j.id DESC
    LIMIT v_most
  LOOP
    v_pace := tallymark.run_pace(v_run.id);
    v_runs := v_runs || (tallymark.run_document(v_run) || tallymark.pace_points(v_pace));
  END LOOP;
  IF job_series.other_id IS NOT NULL THEN
    SELECT j.* INTO v_other FROM tallymark.job AS j
    WHERE j.id = job_series.other_id
      AND (job_series.id_prefix IS NULL OR starts_with(j.id, job_series.id_prefix));
    IF NOT FOUND THEN
      PERFORM tallymark.refuse_unknown_job(job_series.other_id);
    END IF;
    v_pace := tallymark.run_pace(v_other.id);
    v_shown := v_shown || jsonb_build_object('other', tallymark.run_document(v_other) || tallymark.pace_points(v_pace));
  END IF;
  RETURN v_shown || jsonb_build_object('runs', to_jsonb(v_runs));
END
$$;

COMMENT ON FUNCTION tallymark.job_series(text, text, integer, text) IS
'Shows a job beside the runs of its series that were registered before it, and two jobs side by side.
Arguments: job_id: a registered job; other_id: another job to show beside it, null for none; max_runs: how many runs at
most, 0 to 100, null for 10; id_prefix: only jobs whose ids begin with this, null for all.
Returns: {"id", "series": null where it has none, "run": the job as series_runs gives it, and "pace": [[seconds since
its start, items]], "comparison": {"runs": how many finished runs it is held against, the last 10 at most,
"elapsedSeconds", "items", "usual": the median of what they had at that time, "lowest", "highest", "usualTotal",
"usualSeconds", "expectedTotal", "expectedSeconds", "expectedEnd", "unusual": whether it runs and has fewer than half of
the lowest of them}, null where it has no series, "rhythm": as series_runs gives it, "runs": [runs with their "pace"],
the newest first, "other": that job in the same form, only with other_id}.
Errors: TK404 where there is no such job, or no other_id; TK400 where job_id is null, empty or too long.
Callers: tallymark_reader, tallymark_admin.
Cost: reads the ledgers of the job and of runs whose pace was not noted (note_paces).';

REVOKE ALL ON FUNCTION tallymark.job_series(text, text, integer, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.job_series(text, text, integer, text) TO tallymark_reader, tallymark_admin;
