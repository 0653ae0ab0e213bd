-- Gives the counts of a job at its end, for the completion's event and for the answer to it.

CREATE OR REPLACE FUNCTION tallymark.final_counts(progress jsonb) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  RETURN jsonb_build_object('processedItems', final_counts.progress -> 'processedItems',
    'totalItems', final_counts.progress -> 'totalItems',
    'itemsByType', coalesce(final_counts.progress -> 'itemsByType', '{}'));
END
$$;

COMMENT ON FUNCTION tallymark.final_counts(jsonb) IS
'Gives the counts of a job.
Arguments: progress: the merged state of the job.
Returns: {"processedItems", "totalItems": null where they were never given, "itemsByType"}.';

REVOKE ALL ON FUNCTION tallymark.final_counts(jsonb) FROM PUBLIC;
