-- Registers a job, once.

CREATE OR REPLACE FUNCTION tallymark.create_job(job_id text, attributes jsonb DEFAULT '{}') RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  c_most_bytes CONSTANT integer := 65536;
  v_attributes CONSTANT jsonb := coalesce(create_job.attributes, '{}');
  v_problems jsonb := '[]';
  v_created boolean;
BEGIN
  IF char_length(create_job.job_id) NOT BETWEEN 1 AND 255 THEN
    v_problems := v_problems
      || jsonb_build_object('field', 'taskId', 'problem', 'must be a string of 1 to 255 characters');
  END IF;
  IF jsonb_typeof(v_attributes) <> 'object' OR octet_length(v_attributes::text) > c_most_bytes THEN
    v_problems := v_problems || jsonb_build_object('field', 'attributes',
      'problem', format('must be an object of at most %s bytes', c_most_bytes));
  ELSIF NOT tallymark.is_valid_update('', jsonb_build_object('counting', coalesce(v_attributes -> 'counting', '"increment"')))
  THEN
    v_problems := v_problems
      || jsonb_build_object('field', 'attributes.counting', 'problem', tallymark.member_rule('counting'));
  END IF;
  IF create_job.job_id IS NULL OR v_problems <> '[]' THEN
    RAISE EXCEPTION USING ERRCODE = 'TK400',
      MESSAGE = CASE WHEN create_job.job_id IS NULL THEN 'Missing required fields: taskId' ELSE 'Invalid job' END,
      DETAIL = (CASE WHEN create_job.job_id IS NULL
        THEN '[{"field": "taskId", "problem": "is required"}]' ELSE '[]' END::jsonb || v_problems)::text;
  END IF;

  INSERT INTO tallymark.job AS j (id, attributes) VALUES (create_job.job_id, v_attributes)
  ON CONFLICT ON CONSTRAINT job_pkey DO NOTHING;
  v_created := FOUND;
  RETURN tallymark.get_job(create_job.job_id) || jsonb_build_object('created', v_created);
END
$$;

COMMENT ON FUNCTION tallymark.create_job(text, jsonb) IS
'Registers a job, so that crawlers can report on it. Registering it again changes nothing.
Arguments: job_id, 1 to 255 characters; attributes, a JSON object of the registrar''s own, at most 64 KB. One of them has a
meaning here: {"counting": "cumulative"} makes running totals the default of the job''s updates.
Returns: the job as get_job gives it, and "created": whether it is new.
Errors: TK400, with every problem in DETAIL as an array of {"field", "problem"}.';

REVOKE ALL ON FUNCTION tallymark.create_job(text, jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.create_job(text, jsonb) TO tallymark_writer, tallymark_admin;
