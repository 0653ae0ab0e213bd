-- Gives how many items a job has processed. Everything that shows how far a job is asks this: the percentage, the summary,
-- the time left, the history.

CREATE OR REPLACE FUNCTION tallymark.processed_items(progress jsonb) RETURNS numeric
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF processed_items.progress ? 'processedItems' THEN
    RETURN trim_scale((processed_items.progress -> 'processedItems')::numeric);
  END IF;
  RETURN (SELECT coalesce(trim_scale(sum(t.value::numeric)), 0)
    FROM jsonb_each(processed_items.progress -> 'itemsByType') AS t);
END
$$;

COMMENT ON FUNCTION tallymark.processed_items(jsonb) IS
'Gives how many items a job has processed. Pure: it reads no table.
Arguments: progress: the merged state of the job, such as the member progress of get_job.
Returns: its processedItems; the sum of its itemsByType where no crawler ever gave processedItems; 0 where it has
neither.
Callers: tallymark_reader, tallymark_admin.';

REVOKE ALL ON FUNCTION tallymark.processed_items(jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.processed_items(jsonb) TO tallymark_reader, tallymark_admin;
