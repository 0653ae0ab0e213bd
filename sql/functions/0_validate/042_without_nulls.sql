-- Removes an object's null members. Nested objects stay as they are, unlike with jsonb_strip_nulls.

CREATE OR REPLACE FUNCTION tallymark.without_nulls(object jsonb) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  RETURN (
    SELECT coalesce(jsonb_object_agg(e.key, e.value), '{}') FROM jsonb_each(without_nulls.object) AS e
    WHERE jsonb_typeof(e.value) <> 'null');
END
$$;

COMMENT ON FUNCTION tallymark.without_nulls(jsonb) IS
'Removes the members of a JSON object that are null. Nulls deeper inside stay.
Errors: 22023 or 22P02 where the value is not an object.';

REVOKE ALL ON FUNCTION tallymark.without_nulls(jsonb) FROM PUBLIC;
