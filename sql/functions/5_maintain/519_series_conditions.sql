-- Finds runs that are unusual, and runs that are missing, as far as operators should know.

CREATE OR REPLACE FUNCTION tallymark.series_conditions(since timestamptz)
RETURNS TABLE (job_id text, kind text, facts jsonb)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  v_job tallymark.job;
  v_comparison jsonb;
  v_series text := '';
  v_rhythm jsonb;
BEGIN
  FOR v_job IN
    SELECT j.* FROM tallymark.job AS j WHERE j.status = 'running' AND j.series IS NOT NULL ORDER BY j.id
  LOOP
    v_comparison := tallymark.run_comparison(v_job);
    IF (v_comparison -> 'unusual')::boolean THEN
      series_conditions.job_id := v_job.id;
      series_conditions.kind := 'unusual';
      series_conditions.facts := jsonb_build_object('since', tallymark.iso_timestamp(v_job.newest_at),
        'series', v_job.series, 'runs', v_comparison -> 'runs', 'items', v_comparison -> 'items',
        'usual', v_comparison -> 'usual', 'lowest', v_comparison -> 'lowest',
        'elapsedSeconds', v_comparison -> 'elapsedSeconds');
      RETURN NEXT;
    END IF;
  END LOOP;
  LOOP -- one lookup for each series, however many runs it has
    SELECT j.series INTO v_series FROM tallymark.job AS j WHERE j.series > v_series ORDER BY j.series LIMIT 1;
    EXIT WHEN NOT FOUND;
    v_rhythm := tallymark.series_rhythm(v_series);
    IF (v_rhythm -> 'missed')::boolean AND (v_rhythm ->> 'missedAt')::timestamptz >= series_conditions.since THEN
      series_conditions.job_id := v_rhythm ->> 'last';
      series_conditions.kind := 'missed';
      series_conditions.facts := jsonb_build_object('since', v_rhythm -> 'missedAt', 'series', v_series,
        'dueAt', v_rhythm -> 'dueAt', 'lastStartedAt', v_rhythm -> 'lastStartedAt',
        'everySeconds', v_rhythm -> 'everySeconds');
      RETURN NEXT;
    END IF;
  END LOOP;
END
$$;

COMMENT ON FUNCTION tallymark.series_conditions(timestamptz) IS
'Finds what is wrong with series at this moment. The kinds: unusual (a running job has far fewer items than the runs of
its series before it had at the same time, see run_comparison); missed (the next run of a series has not started, see
series_rhythm). The job of a missed run is the last run of its series.
Arguments: since: runs that were missed before this are left out.
Returns: rows of job_id, kind, facts: "since": when it was noticed by the run''s newest update, or from when on the run
is missed; "series"; for unusual "runs", "items", "usual", "lowest", "elapsedSeconds"; for missed "dueAt",
"lastStartedAt", "everySeconds".
Cost: that of run_comparison for each running job of a series, and a few lookups for each series there ever was.';

REVOKE ALL ON FUNCTION tallymark.series_conditions(timestamptz) FROM PUBLIC;
