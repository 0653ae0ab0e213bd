-- Builds the clocks of fields that one update gave, as the job's row keeps them.

CREATE OR REPLACE FUNCTION tallymark.clocks_of(fields text[], at timestamptz, key text) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  RETURN (
    SELECT coalesce(jsonb_object_agg(f.name, jsonb_build_array(
      (extract(epoch FROM clocks_of.at) * 1000000)::bigint, clocks_of.key)), '{}')
    FROM unnest(clocks_of.fields) AS f (name));
END
$$;

COMMENT ON FUNCTION tallymark.clocks_of(text[], timestamptz, text) IS
'Builds the clocks of the fields that one update gave.
Arguments: fields: their names; at, key: time and key of the update.
Returns: {"field": [microseconds since 1970, key]}. A number, because the text of a time depends on the session''s time
zone.';

REVOKE ALL ON FUNCTION tallymark.clocks_of(text[], timestamptz, text) FROM PUBLIC;
