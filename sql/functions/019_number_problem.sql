-- What is wrong with what has_huge_number finds, in words.

CREATE OR REPLACE FUNCTION tallymark.number_problem() RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  RETURN '[{"field": "", "problem": "must have no number beyond 1e308, nor one with more than 400 decimal places"}]';
END
$$;

COMMENT ON FUNCTION tallymark.number_problem() IS
'What is wrong with an update in which has_huge_number finds something.
Returns: an array of one {"field", "problem"}.';

REVOKE ALL ON FUNCTION tallymark.number_problem() FROM PUBLIC;
