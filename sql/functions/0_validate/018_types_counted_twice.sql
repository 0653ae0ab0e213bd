-- Finds the types that one update counts in two ways: by the keys of items, and by a number.

CREATE OR REPLACE FUNCTION tallymark.types_counted_twice(payload jsonb) RETURNS text[]
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  RETURN ARRAY(
    SELECT t.type
    FROM jsonb_object_keys(CASE jsonb_typeof(types_counted_twice.payload -> 'itemKeys')
      WHEN 'object' THEN types_counted_twice.payload -> 'itemKeys' ELSE '{}' END) AS t (type)
    WHERE (jsonb_typeof(types_counted_twice.payload -> 'itemsByType') = 'object'
        AND types_counted_twice.payload -> 'itemsByType' ? t.type)
      -- The legacy names of running totals.
      OR (t.type = 'groups' AND types_counted_twice.payload ? 'groupCount')
      OR (t.type = 'projects' AND types_counted_twice.payload ? 'projectCount'));
END
$$;

COMMENT ON FUNCTION tallymark.types_counted_twice(jsonb) IS
'Finds the types that an update counts by the keys of items (itemKeys) and also by a number (itemsByType, groupCount,
projectCount).
Arguments: payload: the update, a JSON object.
Returns: their names.';

REVOKE ALL ON FUNCTION tallymark.types_counted_twice(jsonb) FROM PUBLIC;
