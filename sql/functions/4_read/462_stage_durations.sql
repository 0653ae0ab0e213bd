-- Tells how long a job has been in each of its stages.

CREATE OR REPLACE FUNCTION tallymark.stage_durations(job_id text, as_of timestamptz DEFAULT NULL)
RETURNS TABLE (stage text, seq bigint, started_at timestamptz, ended_at timestamptz, seconds numeric)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  v_now CONSTANT timestamptz := coalesce(stage_durations.as_of, statement_timestamp());
  v_finished_at timestamptz;
BEGIN
  SELECT j.finished_at INTO v_finished_at FROM tallymark.job AS j WHERE j.id = stage_durations.job_id;
  IF NOT FOUND THEN
    PERFORM tallymark.refuse_unknown_job(stage_durations.job_id);
  END IF;
  RETURN QUERY
  SELECT s.stage, s.seq, s.started_at, s.ended_at,
    greatest(round(extract(epoch FROM coalesce(s.ended_at, v_now) - s.started_at), 3), 0)
  FROM (
    SELECT e.details ->> 'toStage' AS stage, e.seq, e.occurred_at AS started_at,
      -- Only an update newer than the one that gave the stage changes it, so these times never decrease.
      lead(e.occurred_at, 1, v_finished_at) OVER (ORDER BY e.seq) AS ended_at
    FROM tallymark.job_event AS e
    WHERE e.job_id = stage_durations.job_id AND e.payload IS NOT NULL AND e.details ? 'toStage'
  ) AS s
  ORDER BY s.seq;
END
$$;

COMMENT ON FUNCTION tallymark.stage_durations(text, timestamptz) IS
'Tells how long a job was in each of its stages, from the changes of stage in its ledger.
Arguments: job_id: a registered job; as_of: up to when the current stage counts, null for now.
Returns: a row for each time that a stage was entered, in the order of the ledger: stage; seq (the event that entered
it); started_at and ended_at (by the crawlers'' clocks; ended_at is null for the current stage of a job that has not
ended); seconds (with milliseconds).
Errors: TK404 where there is no such job; TK400 where job_id is null, empty or too long.
Callers: tallymark_reader, tallymark_admin.
Cost: reads the job''s ledger.';

REVOKE ALL ON FUNCTION tallymark.stage_durations(text, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.stage_durations(text, timestamptz) TO tallymark_reader, tallymark_admin;
