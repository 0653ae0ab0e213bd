-- Gives what the attributes of a job contain where they match those that a caller asks for.

CREATE OR REPLACE FUNCTION tallymark.attribute_matches(wanted jsonb) RETURNS jsonb[]
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  c_most CONSTANT integer := 8;
  v_name text;
  v_value jsonb;
  v_matches jsonb[] := ARRAY['{}']::jsonb[];
BEGIN
  IF attribute_matches.wanted IS NULL OR attribute_matches.wanted = '{}' THEN
    RETURN NULL;
  ELSIF jsonb_typeof(attribute_matches.wanted) <> 'object' THEN
    PERFORM tallymark.refuse_query('attributes', 'must be a JSON object');
  ELSIF (SELECT count(*) FROM jsonb_object_keys(attribute_matches.wanted)) > c_most THEN
    PERFORM tallymark.refuse_query('attributes', format('must have at most %s members', c_most));
  END IF;
  FOR v_name, v_value IN SELECT a.key, a.value FROM jsonb_each(attribute_matches.wanted) AS a LOOP
    v_matches := ARRAY(
      SELECT m.match || jsonb_build_object(v_name, o.value)
      FROM unnest(v_matches) AS m (match), unnest(CASE
        -- An address has only texts.
        WHEN jsonb_typeof(v_value) = 'string' AND v_value #>> '{}' ~ '^(-?(0|[1-9][0-9]{0,17})([.][0-9]{1,18})?|true|false)$'
          THEN ARRAY[v_value, (v_value #>> '{}')::jsonb]
        ELSE ARRAY[v_value] END) AS o (value));
  END LOOP;
  RETURN v_matches;
END
$$;

COMMENT ON FUNCTION tallymark.attribute_matches(jsonb) IS
'Gives what the attributes of a job contain (@>) where they match those that are wanted.
Arguments: wanted: an object of at most 8 attributes. A text also matches a number or a boolean that is written so.
Returns: objects, of which the attributes contain one; null for null and for an empty object, which match all jobs.
Errors: TK400 where wanted is no object, or too large.';

REVOKE ALL ON FUNCTION tallymark.attribute_matches(jsonb) FROM PUBLIC;
