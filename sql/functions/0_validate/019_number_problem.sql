-- Describes what has_huge_number found.

CREATE OR REPLACE FUNCTION tallymark.number_problem(value jsonb) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  RETURN jsonb_build_array(jsonb_build_object('field', '', 'problem',
    CASE WHEN jsonb_path_exists(number_problem.value, '$.**{1001}') THEN 'must be nested at most 1000 levels deep'
      ELSE 'must have no number beyond 1e308, and none near 0 with more than 400 decimal places' END));
END
$$;

COMMENT ON FUNCTION tallymark.number_problem(jsonb) IS
'Describes what is wrong with an update in which has_huge_number found something.
Returns: an array of one {"field", "problem"}.';

REVOKE ALL ON FUNCTION tallymark.number_problem(jsonb) FROM PUBLIC;
