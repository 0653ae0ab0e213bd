-- Tells how often the runs of a series start, and whether the next one is missing.

CREATE OR REPLACE FUNCTION tallymark.series_rhythm(
  series text, id_prefix text DEFAULT NULL, as_of timestamptz DEFAULT NULL
) RETURNS jsonb
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  c_starts CONSTANT integer := 11;
  c_least_gaps CONSTANT integer := 3; -- fewer are no rhythm
  v_now CONSTANT timestamptz := coalesce(series_rhythm.as_of, statement_timestamp());
  v_run record;
  v_last record;
  v_earliest timestamptz;
  v_gaps interval[] := '{}'::interval[];
  v_at_work boolean := false;
  v_usual interval;
  v_longest interval;
BEGIN
  FOR v_run IN
    SELECT r.id, r.started_at, r.finished_at FROM tallymark.job AS r
    WHERE r.series = series_rhythm.series AND r.started_at IS NOT NULL
      AND (series_rhythm.id_prefix IS NULL OR starts_with(r.id, series_rhythm.id_prefix))
    ORDER BY r.created_at DESC, r.id DESC
    LIMIT c_starts
  LOOP
    IF v_earliest IS NULL THEN
      v_last := v_run;
      -- Of a run before it the crawler may have died without a word. The series went on, so that holds up no run.
      v_at_work := v_run.finished_at IS NULL;
    ELSE
      v_gaps := v_gaps || greatest(v_earliest - v_run.started_at, '0');
    END IF;
    v_earliest := v_run.started_at;
  END LOOP;
  IF v_earliest IS NULL THEN
    RETURN NULL;
  END IF;
  SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY g.gap), max(g.gap) INTO v_usual, v_longest
  FROM unnest(v_gaps) AS g (gap) WHERE cardinality(v_gaps) >= c_least_gaps;
  -- A series that rests at weekends is not late on a Sunday.
  v_longest := greatest(v_usual * 1.5, v_longest * 1.1);
  RETURN jsonb_build_object('last', v_last.id, 'lastStartedAt', tallymark.iso_timestamp(v_last.started_at),
    'everySeconds', trim_scale(round(extract(epoch FROM v_usual), 3)),
    'dueAt', tallymark.iso_timestamp(date_trunc('milliseconds', v_last.started_at + v_usual)),
    'missedAt', tallymark.iso_timestamp(date_trunc('milliseconds', v_last.started_at + v_longest)),
    'missed', coalesce(NOT v_at_work AND v_now > v_last.started_at + v_longest, false));
END
$$;

COMMENT ON FUNCTION tallymark.series_rhythm(text, text, timestamptz) IS
'Tells how often the runs of a series start, by its last 11 runs that have started.
Arguments: series: the series; id_prefix: only jobs whose ids begin with this, null for all; as_of: the moment for which
to answer, null for now.
Returns: {"last": the run that was registered last, of those that have started, "lastStartedAt", "everySeconds": the
median time from start to start, "dueAt": when the next run is due by that, "missedAt": from when on it counts as
missed: after one and a half times the median, and a tenth more than the longest time between two starts, "missed":
whether that has passed, and the last run has ended}; null where no run has started. With fewer than 4 runs there is no
rhythm, and its members are null.
Cost: reads 11 runs (job_series_idx).';

REVOKE ALL ON FUNCTION tallymark.series_rhythm(text, text, timestamptz) FROM PUBLIC;
