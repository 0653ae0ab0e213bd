-- Gives a job as a row of an overview.

CREATE OR REPLACE FUNCTION tallymark.job_row(job tallymark.job) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  p CONSTANT jsonb := job.progress;
  v_error CONSTANT jsonb := nullif(p -> 'error', 'null');
BEGIN
  RETURN jsonb_build_object(
    'id', job.id,
    'status', job.status,
    'percentage', tallymark.progress_percentage(p),
    'summary', tallymark.progress_summary(p),
    'shortfall', tallymark.progress_shortfall(job.status, p),
    'stage', p -> 'stage',
    'operationType', p -> 'operationType',
    'processedItems', p -> 'processedItems',
    'totalItems', p -> 'totalItems',
    'itemTypes', (SELECT count(*) FROM jsonb_object_keys(p -> 'itemsByType')),
    'credentialStatus', p -> 'credentialStatus',
    'command', job.requested_command,
    'wait', tallymark.current_wait(job),
    'error', CASE WHEN v_error IS NOT NULL THEN jsonb_build_object(
      'type', left(v_error ->> 'type', 200),
      -- An error may be a string.
      'message', left(CASE jsonb_typeof(v_error) WHEN 'object' THEN v_error ->> 'message' ELSE v_error #>> '{}' END,
        200)) END,
    'lastSeq', job.last_seq,
    'startedAt', tallymark.iso_timestamp(job.started_at),
    'finishedAt', tallymark.iso_timestamp(job.finished_at),
    'updatedAt', tallymark.iso_timestamp(job.updated_at),
    'createdAt', tallymark.iso_timestamp(job.created_at));
END
$$;

COMMENT ON FUNCTION tallymark.job_row(tallymark.job) IS
'Gives a job as a row of an overview, with what is shown of a job among many others.
Arguments: job: a row of tallymark.job.
Returns: {"id", "status", "percentage", "summary", "shortfall" (see progress_shortfall), "stage", "operationType",
"processedItems", "totalItems", "itemTypes": how many, "credentialStatus", "command", "wait": {"until", "reason"} or
null, "error": {"type", "message", 200 characters each} or null, "lastSeq", "startedAt", "finishedAt", "updatedAt",
"createdAt"}.';

REVOKE ALL ON FUNCTION tallymark.job_row(tallymark.job) FROM PUBLIC;
