-- Gives how much of a job is done, as a short text.

CREATE OR REPLACE FUNCTION tallymark.progress_summary(progress jsonb) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN coalesce(trim_scale((progress -> 'processedItems')::numeric)::text, '0')
  || coalesce('/' || trim_scale((progress -> 'totalItems')::numeric), '')
  || ' ' || coalesce(nullif(progress ->> 'currentDataType', ''), 'items')
  || coalesce(' (' || trunc(tallymark.progress_percentage(progress)) || '%)', '');

COMMENT ON FUNCTION tallymark.progress_summary(jsonb) IS
'Gives how much of a job is done, as a short text. Pure: it reads no table.
Arguments: progress: the merged state of the job, such as the member progress of get_job.
Returns: a text such as 150/500 issues (30%), or 150 items where the total and the data type are unknown.
Callers: tallymark_reader, tallymark_admin.';

REVOKE ALL ON FUNCTION tallymark.progress_summary(jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.progress_summary(jsonb) TO tallymark_reader, tallymark_admin;
