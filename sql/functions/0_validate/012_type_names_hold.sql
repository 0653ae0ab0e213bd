-- Whether the item types of an update have names of a fit length, and are not too many.

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
'Whether the item types of an update are at most 200, with names of 1 to 100 characters.
Arguments: counts, the value of itemsByType.
Returns: true or false; false for what is no object.';

REVOKE ALL ON FUNCTION tallymark.type_names_hold(jsonb) FROM PUBLIC;
