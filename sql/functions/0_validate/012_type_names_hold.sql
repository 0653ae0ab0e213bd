-- Tells whether an update's item types are few enough and their names have an allowed length.

CREATE OR REPLACE FUNCTION tallymark.type_names_hold(counts jsonb) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  RETURN jsonb_typeof(type_names_hold.counts) = 'object' AND (
    SELECT count(*) <= 200 AND coalesce(bool_and(char_length(t.name) BETWEEN 1 AND 100), true)
    FROM jsonb_object_keys(type_names_hold.counts) AS t (name));
END
$$;

COMMENT ON FUNCTION tallymark.type_names_hold(jsonb) IS
'Tells whether an object of counts has at most 200 types, with names of 1 to 100 characters.
Arguments: counts: the value of itemsByType, or of a member like it.
Returns: true or false; false for a value that is not an object.';

REVOKE ALL ON FUNCTION tallymark.type_names_hold(jsonb) FROM PUBLIC;
