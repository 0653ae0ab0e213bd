-- Gives the details of an event that are known only during the merge. All other details are read from the update itself
-- (see event_details), so that most events store nothing here.

CREATE OR REPLACE FUNCTION tallymark.event_facts(
  event text, at timestamptz, before tallymark.job, after tallymark.job
) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  v_facts jsonb := '{}'::jsonb;
BEGIN
  IF before.progress -> 'stage' IS DISTINCT FROM after.progress -> 'stage' THEN
    v_facts := v_facts || jsonb_build_object(
      'fromStage', before.progress -> 'stage', 'toStage', after.progress -> 'stage');
  END IF;
  IF event_facts.event = 'completion' THEN
    v_facts := v_facts || jsonb_build_object(
      'finalCounts', tallymark.final_counts(after.progress),
      'duration', (extract(epoch FROM event_facts.at - after.started_at) * 1000)::bigint,
      'summary', tallymark.progress_summary(after.progress))
      || tallymark.without_nulls(jsonb_build_object(
        'shortfall', tallymark.progress_shortfall(after.status, after.progress)));
  END IF;
  IF event_facts.event = 'areas_discovered' THEN
    -- The update's own counts of these types are not added, so the growth is the number of new areas.
    v_facts := v_facts || jsonb_build_object(
      'newGroups', (after.progress #> '{itemsByType,groups}')::numeric
        - coalesce((before.progress #> '{itemsByType,groups}')::numeric, 0),
      'newProjects', (after.progress #> '{itemsByType,projects}')::numeric
        - coalesce((before.progress #> '{itemsByType,projects}')::numeric, 0));
  END IF;
  RETURN nullif(v_facts, '{}');
END
$$;

COMMENT ON FUNCTION tallymark.event_facts(text, timestamptz, tallymark.job, tallymark.job) IS
'Gives the details of an event that the update itself does not hold.
Arguments: event: its kind; at: when it happened; before, after: the state of the job before and after the update.
Returns: fromStage and toStage where the stage changed; for a completion finalCounts, duration (milliseconds from the
first report to this one), summary, and shortfall where something is left (see progress_shortfall); for areas newGroups
and newProjects, how many more of them the job has (negative where areas turned out to be of another type); null where
there is nothing to add.';

REVOKE ALL ON FUNCTION tallymark.event_facts(text, timestamptz, tallymark.job, tallymark.job) FROM PUBLIC;
