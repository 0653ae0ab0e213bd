-- Builds the answer to an update that was accepted. Most answers need only plain_acknowledgement, so callers ask that
-- first.

CREATE OR REPLACE FUNCTION tallymark.acknowledgement(
  job tallymark.job, seq bigint, duplicate boolean, payload jsonb, warnings jsonb, with_resume boolean DEFAULT true
) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  v_ack jsonb := tallymark.plain_acknowledgement(
      job.id, NULL, acknowledgement.seq, '{"status": "processing"}', '[]')
    || jsonb_build_object('duplicate', acknowledgement.duplicate, 'warnings', acknowledgement.warnings,
      'command', job.requested_command);
  v_status text;
BEGIN
  IF acknowledgement.payload -> 'status' <> '"processing"' THEN
    v_status := lower((acknowledgement.payload ->> 'status') COLLATE "C");
    IF v_status = 'started' AND acknowledgement.with_resume THEN
      v_ack := v_ack || jsonb_build_object(
        'resume', jsonb_build_object(
          'lastProcessedId', job.progress -> 'lastProcessedId',
          'resumeState', job.resume_state,
          'itemsByType', coalesce(job.progress -> 'itemsByType', '{}'),
          'processedItems', coalesce(job.progress -> 'processedItems', '0'),
          -- An item that is done stays done. So a list older than lastProcessedId names none that is still to do.
          -- In an earlier release it was any field of the crawler's own.
          'doneBeyond', CASE jsonb_typeof(job.progress -> 'doneBeyond')
            WHEN 'array' THEN job.progress -> 'doneBeyond' ELSE '[]' END),
        -- The crawler's next update should be newer than this. Always six digits, so that texts sort like times.
        'newestTimestamp', to_char(job.newest_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        -- While workers is null, the job's processedItems is that of the unnamed worker (see count_by_worker).
        'worker', '{"processedItems": 0, "itemsByType": {}}' || coalesce(
          coalesce(job.workers, jsonb_build_object('', jsonb_build_object(
            'processedItems', coalesce(job.progress -> 'processedItems', '0'))))
          -> coalesce(acknowledgement.payload ->> 'workerId', ''), '{}'));
    ELSIF v_status = 'new_areas_discovered' THEN
      v_ack := v_ack || jsonb_build_object('message', format(
        'Areas discovery processed for task %s: %s groups, %s projects', job.id,
        acknowledgement.payload #>> '{lastAreasDiscovery,groupsCount}',
        acknowledgement.payload #>> '{lastAreasDiscovery,projectsCount}'));
    ELSIF starts_with(v_status, 'credential_') THEN
      v_ack := v_ack || jsonb_build_object(
        'message', format('Credential status update processed for task %s: %s', job.id, v_status),
        'credentialGuidance',
          tallymark.credential_guidance(v_status, acknowledgement.payload -> 'credentialStatus'));
    ELSIF acknowledgement.with_resume AND tallymark.is_terminal(tallymark.job_status(v_status)) THEN
      v_ack := v_ack || jsonb_build_object('finalCounts', tallymark.final_counts(job.progress))
        || tallymark.without_nulls(jsonb_build_object(
          'shortfall', tallymark.progress_shortfall(job.status, job.progress)));
    END IF;
  END IF;
  RETURN v_ack;
END
$$;

COMMENT ON FUNCTION tallymark.acknowledgement(tallymark.job, bigint, boolean, jsonb, jsonb, boolean) IS
'Builds the answer to an update that was accepted.
Arguments: job: its state after the update; seq: the number of the update''s event; duplicate: whether the update was
in the ledger already; payload: the update; warnings: an array of texts; with_resume: whether the answer may have
resume, newestTimestamp, worker and finalCounts.
Returns: the acknowledgement of the wire protocol. For the status started it has resume {"lastProcessedId",
"resumeState", "itemsByType", "processedItems", "doneBeyond"}, from which a restarted crawler continues,
newestTimestamp, the time of the job''s newest update in UTC with microseconds, and worker {"processedItems",
"itemsByType"}, the highest running totals that the update''s worker (or the unnamed one) has reported, also its
foundByType, failedByType and skippedByType where it gave these. doneBeyond has the cursors of items after
lastProcessedId that are already done. For the statuses that end a job it has finalCounts, the job''s counts with this
update in them (see final_counts), and shortfall where something is left (see progress_shortfall). For credential_* it
has credentialGuidance, lines for the admin.';

REVOKE ALL ON FUNCTION tallymark.acknowledgement(tallymark.job, bigint, boolean, jsonb, jsonb, boolean) FROM PUBLIC;
