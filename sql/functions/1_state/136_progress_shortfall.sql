-- Tells what is missing from a job that has finished.

CREATE OR REPLACE FUNCTION tallymark.progress_shortfall(job_status text, progress jsonb) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF progress_shortfall.job_status <> 'finished' THEN
    RETURN NULL; -- it may still do what is left
  END IF;
  RETURN (
    SELECT jsonb_object_agg(b.key, b.value -> 'left')
    FROM jsonb_each(tallymark.progress_books(progress_shortfall.progress)) AS b
    WHERE (b.value ->> 'left')::numeric > 0);
END
$$;

COMMENT ON FUNCTION tallymark.progress_shortfall(text, jsonb) IS
'Tells what is missing from a job that reported completed. Pure: it reads no table.
Arguments: job_status: the status of the job; progress: its merged state, such as the member progress of get_job.
Returns: {"type": how many are left}, as progress_books has them, with those types only of which some are left; null
where nothing is left, or where the job is not finished.
Callers: tallymark_reader, tallymark_admin.';

REVOKE ALL ON FUNCTION tallymark.progress_shortfall(text, jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.progress_shortfall(text, jsonb) TO tallymark_reader, tallymark_admin;
