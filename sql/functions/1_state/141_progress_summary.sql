-- Gives how much of a job is done, as a short text.

CREATE OR REPLACE FUNCTION tallymark.progress_summary(progress jsonb) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  v_extent CONSTANT record := tallymark.progress_extent(progress_summary.progress);
  -- The types of which something was counted or is expected, some of them more than once.
  v_types CONSTANT jsonb := jsonb_path_query_array(jsonb_build_array(progress_summary.progress -> 'itemsByType',
    progress_summary.progress -> 'totalsByType', progress_summary.progress -> 'foundByType',
    progress_summary.progress -> 'failedByType', progress_summary.progress -> 'skippedByType'),
    '$[*] ? (@.type() == "object").keyvalue() ? (@.value > 0).key');
  v_unit text;
BEGIN
  v_unit := CASE WHEN v_types = '[]'
    -- Nothing is counted by type, so the type that the crawler names is the only one that is known.
    THEN nullif(progress_summary.progress ->> 'currentDataType', '')
    WHEN v_types - (v_types ->> 0) = '[]' THEN nullif(v_types ->> 0, '') END;
  RETURN v_extent.done || coalesce('/' || v_extent.total, '') || ' '
    || coalesce(v_unit, CASE WHEN coalesce(v_extent.total, v_extent.done) = 1 THEN 'item' ELSE 'items' END)
    || coalesce(' (' || trunc(tallymark.percentage_of(v_extent.done, v_extent.total)) || '%)', '');
END
$$;

COMMENT ON FUNCTION tallymark.progress_summary(jsonb) IS
'Gives how much of a job is done, as a short text. Pure: it reads no table.
Arguments: progress: the merged state of the job, such as the member progress of get_job.
Returns: how many are done, how many there are where that is known (see progress_extent), a unit, and the percentage,
such as 150/500 issues (30%). The unit is the type, where all that is counted or expected by type is of that one; the
currentDataType, where nothing is counted by type; otherwise items.
Callers: tallymark_reader, tallymark_admin.';

REVOKE ALL ON FUNCTION tallymark.progress_summary(jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.progress_summary(jsonb) TO tallymark_reader, tallymark_admin;
