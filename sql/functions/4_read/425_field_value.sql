-- Reads one field of a job by the name that a job's readers know.

CREATE OR REPLACE FUNCTION tallymark.field_value(job tallymark.job, field text) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  -- Only these have a path: the names of fields and of types may contain dots.
  c_by_type CONSTANT text[] := '{itemsByType,foundByType,failedByType,skippedByType,totalsByType}';
  v_member CONSTANT text := split_part(field_value.field, '.', 1);
BEGIN
  RETURN CASE
    WHEN job.progress ? field_value.field THEN job.progress -> field_value.field
    WHEN v_member = ANY (c_by_type) AND field_value.field <> v_member
      THEN job.progress -> v_member -> substr(field_value.field, char_length(v_member) + 2)
    WHEN field_value.field = 'status' THEN to_jsonb(job.status)
    WHEN field_value.field = 'resumeState' THEN job.resume_state
    WHEN field_value.field IN ('percentage', 'summary', 'books', 'shortfall', 'startedAt', 'finishedAt') THEN
      nullif(tallymark.job_document(job) -> field_value.field, 'null')
  END;
END
$$;

COMMENT ON FUNCTION tallymark.field_value(tallymark.job, text) IS
'Reads one field of a job.
Arguments: job: a row of tallymark.job; field: a member of progress, such as processedItems; a type, such as
itemsByType.issues or failedByType.issues; or status, resumeState, percentage, summary, books, shortfall, startedAt,
finishedAt.
Returns: the value; null where the job has none.';

REVOKE ALL ON FUNCTION tallymark.field_value(tallymark.job, text) FROM PUBLIC;
