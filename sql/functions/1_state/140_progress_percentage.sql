-- Gives how much of a job is done, in percent.

CREATE OR REPLACE FUNCTION tallymark.progress_percentage(progress jsonb) RETURNS numeric
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  v_extent record;
BEGIN
  IF (progress_percentage.progress ?| '{totalItems,totalsByType,foundByType}') IS NOT TRUE THEN
    RETURN NULL; -- no total
  END IF;
  v_extent := tallymark.progress_extent(progress_percentage.progress);
  RETURN tallymark.percentage_of(v_extent.done, v_extent.total);
END
$$;

COMMENT ON FUNCTION tallymark.progress_percentage(jsonb) IS
'Gives how much of a job is done, in percent. Pure: it reads no table.
Arguments: progress: the merged state of the job, such as the member progress of get_job.
Returns: processed_items in percent of totalItems, with one decimal, rounded down, so that 100 means that all is done,
and never more than 100. Where totalItems was never given and every type has a total, what is not left any more in
percent of the sum of the totals: see progress_extent. Null while the total is unknown or 0.
Callers: tallymark_reader, tallymark_admin.';

REVOKE ALL ON FUNCTION tallymark.progress_percentage(jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.progress_percentage(jsonb) TO tallymark_reader, tallymark_admin;
