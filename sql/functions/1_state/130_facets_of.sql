-- Gives what jobs are searched by. It has a column of its own because it seldom changes: an index on progress, which
-- every merge changes, would keep every merge from being a HOT update.

CREATE OR REPLACE FUNCTION tallymark.facets_of(progress jsonb) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  RETURN tallymark.without_nulls(jsonb_build_object(
    'stage', facets_of.progress -> 'stage',
    'operationType', facets_of.progress -> 'operationType',
    'currentDataType', facets_of.progress -> 'currentDataType',
    'itemTypes', (SELECT jsonb_agg(t.name) FROM jsonb_object_keys(facets_of.progress -> 'itemsByType') AS t (name)
      WHERE t.name <> ''))); -- the sum of further types, see within_limits
END
$$;

COMMENT ON FUNCTION tallymark.facets_of(jsonb) IS
'Gives what a job can be searched by.
Arguments: progress: the merged state.
Returns: {"stage", "operationType", "currentDataType", "itemTypes": [names]}, without those that are not known.';

REVOKE ALL ON FUNCTION tallymark.facets_of(jsonb) FROM PUBLIC;
