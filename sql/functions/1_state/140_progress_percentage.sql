-- Gives how much of a job is done, in percent.

CREATE OR REPLACE FUNCTION tallymark.progress_percentage(progress jsonb) RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN (progress -> 'totalItems')::numeric > 0
  THEN least(trunc(100 * tallymark.processed_items(progress) / (progress -> 'totalItems')::numeric, 1), 100)
END;

COMMENT ON FUNCTION tallymark.progress_percentage(jsonb) IS
'Gives how much of a job is done, in percent. Pure: it reads no table.
Arguments: progress: the merged state of the job, such as the member progress of get_job.
Returns: processed_items in percent of totalItems, with one decimal, rounded down, so that 100 means that all is done,
and never more than 100; null while the total is unknown or 0.
Callers: tallymark_reader, tallymark_admin.';

REVOKE ALL ON FUNCTION tallymark.progress_percentage(jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.progress_percentage(jsonb) TO tallymark_reader, tallymark_admin;
