-- Builds one finding of a diagnosis.

CREATE OR REPLACE FUNCTION tallymark.finding(
  code text, severity text, says text, next text DEFAULT NULL, facts jsonb DEFAULT '{}'
) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  RETURN jsonb_build_array(jsonb_build_object('code', finding.code, 'severity', finding.severity,
    'says', finding.says, 'next', finding.next, 'facts', coalesce(finding.facts, '{}')));
END
$$;

COMMENT ON FUNCTION tallymark.finding(text, text, text, text, jsonb) IS
'Builds one finding of a diagnosis.
Arguments: code: the name by which programs know it; severity: ok, note, warning or problem; says: what was found;
next: what to do about it, null for nothing; facts: the numbers and instants.
Returns: an array of one {"code", "severity", "says", "next", "facts"}, so that findings can be joined with ||.';

REVOKE ALL ON FUNCTION tallymark.finding(text, text, text, text, jsonb) FROM PUBLIC;
