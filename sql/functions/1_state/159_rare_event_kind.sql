-- Gives the kind of event that an update is on the timeline: all rules for that are here. Most updates are progress and
-- nothing else, which event_kind sees without this call.

CREATE OR REPLACE FUNCTION tallymark.rare_event_kind(payload jsonb, stage_changed boolean) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  v_status text;
BEGIN
  IF rare_event_kind.payload ? 'error' THEN
    RETURN 'error';
  END IF;
  IF rare_event_kind.payload -> 'status' <> '"processing"' THEN
    v_status := tallymark.job_status(rare_event_kind.payload ->> 'status');
    IF v_status = 'failed' THEN
      RETURN 'error';
    ELSIF tallymark.is_terminal(v_status) THEN
      RETURN 'completion';
    ELSIF v_status IN ('credential_expired', 'waiting_credential_renewal', 'credential_renewed') THEN
      RETURN 'credential_status_change';
    END IF;
  END IF;
  RETURN CASE
    WHEN rare_event_kind.payload ? 'areas' THEN 'areas_discovered'
    WHEN rare_event_kind.payload ->> 'operationType' = 'discovery' THEN 'discovery_progress'
    WHEN rare_event_kind.stage_changed THEN 'stage_change'
    ELSE 'progress_update'
  END;
END
$$;

COMMENT ON FUNCTION tallymark.rare_event_kind(jsonb, boolean) IS
'Gives the kind of the one event that an update appends to the timeline: the most telling one that fits.
Arguments: payload: the update; stage_changed: whether this update changed the stage of the job.
Returns: see event_kind, which callers use.';

REVOKE ALL ON FUNCTION tallymark.rare_event_kind(jsonb, boolean) FROM PUBLIC;
