-- The registrar's door: a job as it comes over HTTP.

CREATE OR REPLACE FUNCTION tallymark.receive_job(body jsonb) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF jsonb_typeof(receive_job.body) IS DISTINCT FROM 'object' THEN
    RAISE EXCEPTION USING ERRCODE = 'TK400', MESSAGE = 'Invalid request body',
      DETAIL = '[{"field": "", "problem": "must be a JSON object"}]';
  END IF;
  PERFORM tallymark.check_job(receive_job.body -> 'taskId', nullif(receive_job.body -> 'attributes', 'null'));
  RETURN tallymark.create_job(receive_job.body ->> 'taskId', nullif(receive_job.body -> 'attributes', 'null'));
END
$$;

COMMENT ON FUNCTION tallymark.receive_job(jsonb) IS
'Registers a job as it comes over HTTP.
Arguments: body, {"taskId", "attributes"}.
Returns: the job, and "created", as create_job.
Errors: TK400, with every problem in DETAIL.';

REVOKE ALL ON FUNCTION tallymark.receive_job(jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.receive_job(jsonb) TO tallymark_writer, tallymark_admin;
