-- Gives the kind of event that an update is on the timeline. One expression, which PostgreSQL inlines into its callers:
-- it only sees that no rule of rare_event_kind can apply.

CREATE OR REPLACE FUNCTION tallymark.event_kind(payload jsonb, stage_changed boolean) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
  WHEN NOT stage_changed AND jsonb_path_match(payload, '
    $.status == "processing" && !exists($.error) && !exists($.areas) && !($.operationType == "discovery")')
  THEN 'progress_update'
  ELSE tallymark.rare_event_kind(payload, stage_changed)
END;

COMMENT ON FUNCTION tallymark.event_kind(jsonb, boolean) IS
'Gives the kind of the one event that an update appends to the timeline: the most telling one that fits.
Arguments: payload: the update; stage_changed: whether this update changed the stage of the job.
Returns: error, completion, credential_status_change, areas_discovered, discovery_progress, stage_change or
progress_update, in this order of precedence.';

REVOKE ALL ON FUNCTION tallymark.event_kind(jsonb, boolean) FROM PUBLIC;
