-- Gives how much of a job is done, as a short text.

CREATE OR REPLACE FUNCTION tallymark.progress_summary(progress jsonb) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  v_done CONSTANT numeric := tallymark.processed_items(progress_summary.progress);
  v_total CONSTANT numeric := trim_scale((progress_summary.progress -> 'totalItems')::numeric);
  v_types CONSTANT jsonb := jsonb_path_query_array(progress_summary.progress,
    '$.itemsByType.keyvalue() ? (@.value > 0).key');
  v_unit text;
BEGIN
  v_unit := CASE jsonb_array_length(v_types) WHEN 1 THEN nullif(v_types ->> 0, '')
    -- Nothing is counted by type, so the type that the crawler names is the only one that is known.
    WHEN 0 THEN nullif(progress_summary.progress ->> 'currentDataType', '') END;
  RETURN v_done || coalesce('/' || v_total, '') || ' '
    || coalesce(v_unit, CASE WHEN coalesce(v_total, v_done) = 1 THEN 'item' ELSE 'items' END)
    || coalesce(' (' || trunc(tallymark.progress_percentage(progress_summary.progress)) || '%)', '');
END
$$;

COMMENT ON FUNCTION tallymark.progress_summary(jsonb) IS
'Gives how much of a job is done, as a short text. Pure: it reads no table.
Arguments: progress: the merged state of the job, such as the member progress of get_job.
Returns: processed_items, totalItems where it is known, a unit, and the percentage, such as 150/500 issues (30%). The
unit is the type, where all that is counted by type is of that one; the currentDataType, where nothing is counted by
type; otherwise items.
Callers: tallymark_reader, tallymark_admin.';

REVOKE ALL ON FUNCTION tallymark.progress_summary(jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.progress_summary(jsonb) TO tallymark_reader, tallymark_admin;
