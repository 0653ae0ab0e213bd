-- Gives how much of a job is done, as a short text.

CREATE OR REPLACE FUNCTION tallymark.progress_summary(progress jsonb) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  v_extent CONSTANT record := tallymark.progress_extent(progress_summary.progress);
  v_types jsonb := jsonb_path_query_array(progress_summary.progress, '$.itemsByType.keyvalue() ? (@.value > 0).key');
  v_unit text;
BEGIN
  IF progress_summary.progress ?| '{totalsByType,foundByType,failedByType,skippedByType}' THEN
    v_types := (
      SELECT coalesce(jsonb_agg(b.key), '[]') FROM jsonb_each(tallymark.progress_books(progress_summary.progress)) AS b
      WHERE jsonb_path_exists(b.value, '$.* ? (@ > 0)'));
  END IF;
  v_unit := CASE jsonb_array_length(v_types) WHEN 1 THEN nullif(v_types ->> 0, '')
    -- Nothing is counted by type, so the type that the crawler names is the only one that is known.
    WHEN 0 THEN nullif(progress_summary.progress ->> 'currentDataType', '') END;
  RETURN v_extent.done || coalesce('/' || v_extent.total, '') || ' '
    || coalesce(v_unit, CASE WHEN coalesce(v_extent.total, v_extent.done) = 1 THEN 'item' ELSE 'items' END)
    || coalesce(' (' || trunc(tallymark.percentage_of(v_extent.done, v_extent.total)) || '%)', '');
END
$$;

COMMENT ON FUNCTION tallymark.progress_summary(jsonb) IS
'Gives how much of a job is done, as a short text. Pure: it reads no table.
Arguments: progress: the merged state of the job, such as the member progress of get_job.
Returns: how many are done, how many there are where that is known (see progress_extent), a unit, and the percentage, such
as 150/500 issues (30%). The unit is the type, where all that is counted or expected by type is of that one; the
currentDataType, where nothing is counted by type; otherwise items.
Callers: tallymark_reader, tallymark_admin.';

REVOKE ALL ON FUNCTION tallymark.progress_summary(jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.progress_summary(jsonb) TO tallymark_reader, tallymark_admin;
