-- Takes over a job of the original, for callers in SQL that have the columns of its table.

CREATE OR REPLACE FUNCTION tallymark.import_original_job(
  id text, status text, progress jsonb, resume_state jsonb, started_at timestamptz, finished_at timestamptz,
  updated_at timestamptz
) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  RETURN tallymark.import_original_row(jsonb_build_object('id', import_original_job.id,
    'status', import_original_job.status, 'progress', import_original_job.progress,
    'resumeState', import_original_job.resume_state)
    || (
      SELECT jsonb_object_agg(t.name, CASE
        WHEN t.instant >= '0001-01-01 00:00Z' AND t.instant < '10000-01-01 00:00Z'
          THEN tallymark.iso_timestamp(t.instant)
        ELSE t.instant::text END) -- such as infinity, which is named as a problem
      FROM (VALUES ('startedAt', import_original_job.started_at), ('finishedAt', import_original_job.finished_at),
        ('updatedAt', import_original_job.updated_at)) AS t (name, instant)));
END
$$;

COMMENT ON FUNCTION tallymark.import_original_job(text, text, jsonb, jsonb, timestamptz, timestamptz, timestamptz) IS
'Takes over a job from the columns of a row of the original''s table of jobs. Works as import_original_row does, which
says what becomes of a row, and what of one that has changed since it was taken over. tallymark import-original does a
whole table.
Arguments: id, status, progress, resume_state, started_at, finished_at, updated_at: the columns; each but id may be
null.
Returns: as import_original_row: {"id", "outcome", "taken", "problems", "mended", "timelineEntries", "events"}.
Errors: TK400 where id is null, empty or longer than 255 characters, with all problems of the row in DETAIL as a JSON
array of {"field", "problem"}.
Callers: tallymark_admin.
Locks: the job''s row, until the end of the transaction.
Example: SELECT tallymark.import_original_job(j.id, j.status, j.progress, j.resumestate,
j.started_at AT TIME ZONE ''UTC'', j.finished_at AT TIME ZONE ''UTC'', j.updated_at AT TIME ZONE ''UTC'') FROM job AS j
WHERE j.id = ''job_1'';';

REVOKE ALL ON FUNCTION
  tallymark.import_original_job(text, text, jsonb, jsonb, timestamptz, timestamptz, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION
  tallymark.import_original_job(text, text, jsonb, jsonb, timestamptz, timestamptz, timestamptz) TO tallymark_admin;
