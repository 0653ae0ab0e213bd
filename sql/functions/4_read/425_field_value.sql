-- Reads one field of a job by the name that a job's readers know.

CREATE OR REPLACE FUNCTION tallymark.field_value(job tallymark.job, field text) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  RETURN CASE
    WHEN job.progress ? field_value.field THEN job.progress -> field_value.field
    -- Only itemsByType has a path: the names of fields and of types may contain dots.
    WHEN field_value.field LIKE 'itemsByType.%' THEN job.progress -> 'itemsByType' -> substr(field_value.field, 13)
    WHEN field_value.field = 'status' THEN to_jsonb(job.status)
    WHEN field_value.field = 'resumeState' THEN job.resume_state
    WHEN field_value.field IN ('percentage', 'summary', 'startedAt', 'finishedAt') THEN
      nullif(tallymark.job_document(job) -> field_value.field, 'null')
  END;
END
$$;

COMMENT ON FUNCTION tallymark.field_value(tallymark.job, text) IS
'Reads one field of a job.
Arguments: job: a row of tallymark.job; field: a member of progress, such as processedItems; a type, such as
itemsByType.issues; or status, resumeState, percentage, summary, startedAt, finishedAt.
Returns: the value; null where the job has none.';

REVOKE ALL ON FUNCTION tallymark.field_value(tallymark.job, text) FROM PUBLIC;
