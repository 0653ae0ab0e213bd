-- Gives the kind of event that an update is on the timeline: the most telling one.

CREATE OR REPLACE FUNCTION tallymark.event_kind(payload jsonb, stage_changed boolean) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  v_status text;
BEGIN
  IF event_kind.payload ? 'error' THEN
    RETURN 'error';
  END IF;
  IF event_kind.payload -> 'status' <> '"processing"' THEN
    v_status := tallymark.job_status(event_kind.payload ->> 'status');
    IF v_status = 'failed' THEN
      RETURN 'error';
    ELSIF tallymark.is_terminal(v_status) THEN
      RETURN 'completion';
    ELSIF v_status IN ('credential_expired', 'waiting_credential_renewal', 'credential_renewed') THEN
      RETURN 'credential_status_change';
    END IF;
  END IF;
  RETURN CASE
    WHEN event_kind.payload ? 'areas' THEN 'areas_discovered'
    WHEN event_kind.payload ->> 'operationType' = 'discovery' THEN 'discovery_progress'
    WHEN event_kind.stage_changed THEN 'stage_change'
    ELSE 'progress_update'
  END;
END
$$;

COMMENT ON FUNCTION tallymark.event_kind(jsonb, boolean) IS
'Gives the kind of the one event that an update appends to the timeline: the most telling one that fits.
Arguments: payload: the update; stage_changed: whether this update changed the stage of the job.
Returns: error, completion, credential_status_change, areas_discovered, discovery_progress, stage_change or
progress_update, in this order of precedence.';

REVOKE ALL ON FUNCTION tallymark.event_kind(jsonb, boolean) FROM PUBLIC;
