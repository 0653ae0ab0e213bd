-- Refuses an invalid registration and names all its problems at once.

CREATE OR REPLACE FUNCTION tallymark.check_job(job_id jsonb, attributes jsonb, parent jsonb DEFAULT NULL)
RETURNS void
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  c_most_bytes CONSTANT integer := 65536;
  v_missing CONSTANT boolean := coalesce(check_job.job_id, 'null') = 'null';
  v_counting CONSTANT jsonb := coalesce(nullif(check_job.attributes -> 'counting', 'null'), '"increment"');
  v_series CONSTANT jsonb := coalesce(nullif(check_job.attributes -> 'series', 'null'), '"-"');
  v_parent CONSTANT jsonb := nullif(check_job.parent, 'null');
  v_problems jsonb := '[]'::jsonb;
BEGIN
  IF v_missing THEN
    v_problems := v_problems || '{"field": "taskId", "problem": "is required"}';
  ELSIF jsonb_typeof(check_job.job_id) <> 'string' OR char_length(check_job.job_id #>> '{}') NOT BETWEEN 1 AND 255 THEN
    v_problems := v_problems || '{"field": "taskId", "problem": "must be a string of 1 to 255 characters"}';
  END IF;
  IF tallymark.has_huge_number(check_job.attributes) THEN -- before anything is written as text
    v_problems := v_problems || (tallymark.number_problem(check_job.attributes) -> 0 || '{"field": "attributes"}');
  ELSIF jsonb_typeof(check_job.attributes) <> 'object' OR tallymark.json_bytes(check_job.attributes) > c_most_bytes
  THEN
    v_problems := v_problems || jsonb_build_object('field', 'attributes',
      'problem', format('must be an object of at most %s bytes', c_most_bytes));
  ELSE
    IF NOT tallymark.is_valid_update('', jsonb_build_object('counting', v_counting)) THEN
      v_problems := v_problems
        || jsonb_build_object('field', 'attributes.counting', 'problem', tallymark.member_rule('counting'));
    END IF;
    IF jsonb_typeof(v_series) <> 'string' OR char_length(v_series #>> '{}') NOT BETWEEN 1 AND 255 THEN
      v_problems := v_problems || '{"field": "attributes.series", "problem": "must be a string of 1 to 255 characters"}';
    END IF;
  END IF;
  IF jsonb_typeof(v_parent) <> 'string' OR char_length(v_parent #>> '{}') NOT BETWEEN 1 AND 255 THEN
    v_problems := v_problems || '{"field": "parent", "problem": "must be a string of 1 to 255 characters"}';
  ELSIF v_parent = check_job.job_id THEN
    v_problems := v_problems || '{"field": "parent", "problem": "must be another job"}';
  END IF;
  IF v_problems <> '[]' THEN
    RAISE EXCEPTION USING ERRCODE = 'TK400', DETAIL = v_problems::text,
      MESSAGE = CASE WHEN v_missing THEN 'Missing required fields: taskId' ELSE 'Invalid job' END,
      HINT = 'Correct the named fields. No job was registered.';
  END IF;
END
$$;

COMMENT ON FUNCTION tallymark.check_job(jsonb, jsonb, jsonb) IS
'Refuses a registration that is not valid.
Arguments: job_id, attributes, parent: as they came, as JSON.
Errors: TK400, with all problems in DETAIL as an array of {"field", "problem"}.';

REVOKE ALL ON FUNCTION tallymark.check_job(jsonb, jsonb, jsonb) FROM PUBLIC;
