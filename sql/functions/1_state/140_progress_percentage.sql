-- How far a job is, in percent.

CREATE OR REPLACE FUNCTION tallymark.progress_percentage(progress jsonb) RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN (progress -> 'totalItems')::numeric > 0
  THEN least(trunc(100 * coalesce((progress -> 'processedItems')::numeric, 0) / (progress -> 'totalItems')::numeric, 1),
    100)
END;

COMMENT ON FUNCTION tallymark.progress_percentage(jsonb) IS
'How far a job is.
Arguments: progress, its merged state.
Returns: percent with one decimal, rounded down, so that 100 is only said of what is done, and never more than that;
null while the total is unknown or 0.';

REVOKE ALL ON FUNCTION tallymark.progress_percentage(jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.progress_percentage(jsonb) TO tallymark_reader, tallymark_admin;
