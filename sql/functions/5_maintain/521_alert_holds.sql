-- Tells whether the condition that an alert was opened for still exists.

CREATE OR REPLACE FUNCTION tallymark.alert_holds(
  job_id text, kind text, facts jsonb, most_errors integer, errors_within interval
) RETURNS boolean
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  v_job tallymark.job;
  v_since bigint;
  v_comparison jsonb;
BEGIN
  SELECT j.* INTO v_job FROM tallymark.job AS j WHERE j.id = alert_holds.job_id;
  IF alert_holds.kind = 'errors' THEN
    v_since := tallymark.seq_since(v_job.id, statement_timestamp() - alert_holds.errors_within);
  END IF;
  IF alert_holds.kind = 'unusual' AND v_job.status = 'running' THEN
    v_comparison := tallymark.run_comparison(v_job);
  END IF;
  RETURN CASE
    WHEN v_job.id IS NULL THEN false
    -- The same silence, however long: there was no report since.
    WHEN alert_holds.kind = 'stalled' THEN v_job.status IN ('running', 'waiting', 'queued')
      AND tallymark.iso_timestamp(v_job.updated_at) = alert_holds.facts ->> 'since'
    -- The same end: an end after a restart is another one, even if raise_alerts did not run in between.
    WHEN alert_holds.kind IN ('failed', 'shortfall') THEN CASE alert_holds.kind WHEN 'failed' THEN v_job.status = 'failed'
        ELSE tallymark.progress_shortfall(v_job.status, v_job.progress) IS NOT NULL END AND NOT EXISTS (
      SELECT 1 FROM tallymark.job_event AS e
      WHERE e.job_id = v_job.id AND e.seq > (alert_holds.facts -> 'seq')::bigint AND e.payload IS NOT NULL
        AND e.occurred_at > (alert_holds.facts ->> 'since')::timestamptz
        AND NOT tallymark.is_terminal(tallymark.job_status(coalesce(e.payload ->> 'status', 'processing'))))
    WHEN alert_holds.kind = 'credentials' THEN v_job.status IN ('credential_expired', 'waiting_credential_renewal')
    -- Over at half the number of errors, so that the alert does not open and close with every error.
    WHEN alert_holds.kind = 'errors' THEN 2 * (
      SELECT count(*) FROM tallymark.job_event AS e
      WHERE e.job_id = v_job.id AND e.event = 'error' AND e.payload IS NOT NULL
        AND e.seq >= v_since
    ) > greatest(alert_holds.most_errors, 1)
    -- Over at six tenths, so that the alert does not open and close with every update.
    WHEN alert_holds.kind = 'unusual' THEN v_job.status = 'running'
      AND coalesce(10 * (v_comparison -> 'items')::numeric < 6 * (v_comparison -> 'lowest')::numeric, false)
    WHEN alert_holds.kind = 'missed' THEN NOT EXISTS (
      SELECT 1 FROM tallymark.job AS r
      WHERE r.series = v_job.series AND (r.created_at, r.id) > (v_job.created_at, v_job.id)
        AND r.started_at IS NOT NULL)
    ELSE EXISTS (SELECT 1 FROM tallymark.job_check AS c WHERE c.job_id = v_job.id AND NOT c.exact)
  END;
END
$$;

COMMENT ON FUNCTION tallymark.alert_holds(text, text, jsonb, integer, interval) IS
'Tells whether the condition that an alert was opened for still exists.
Arguments: job_id, kind, facts: those of the alert; most_errors, errors_within: as those of alert_conditions.
Returns: false where it is over: the job was reported on, was restarted, has nothing left, has credentials, has at most
half as many errors, has caught up or ended where it was unusual, was followed by the next run, verifies again, or was
deleted.';

REVOKE ALL ON FUNCTION tallymark.alert_holds(text, text, jsonb, integer, interval) FROM PUBLIC;
