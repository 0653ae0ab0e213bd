-- Where registrations arrive from HTTP.

CREATE OR REPLACE FUNCTION tallymark.receive_job(body jsonb, job_prefix text DEFAULT NULL) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF jsonb_typeof(receive_job.body) IS DISTINCT FROM 'object' THEN
    RAISE EXCEPTION USING ERRCODE = 'TK400', MESSAGE = 'Invalid request body',
      DETAIL = '[{"field": "", "problem": "must be a JSON object"}]';
  END IF;
  PERFORM tallymark.check_job(receive_job.body -> 'taskId', nullif(receive_job.body -> 'attributes', 'null'),
    receive_job.body -> 'parent');
  PERFORM tallymark.refuse_foreign_job(receive_job.body ->> 'taskId', receive_job.job_prefix);
  -- What a job counts is part of the sums of its parent's family.
  PERFORM tallymark.refuse_foreign_job(receive_job.body ->> 'parent', receive_job.job_prefix);
  RETURN tallymark.create_job(receive_job.body ->> 'taskId', nullif(receive_job.body -> 'attributes', 'null'),
    receive_job.body ->> 'parent');
END
$$;

COMMENT ON FUNCTION tallymark.receive_job(jsonb, text) IS
'Registers a job as it arrives over HTTP.
Arguments: body: the body of the request, {"taskId", "attributes", "parent"}; job_prefix: the beginning of the ids of
the caller''s jobs, null or empty for all jobs.
Returns: the job and "created", as create_job.
Errors: TK400 where body is not valid, with all problems in DETAIL as a JSON array of {"field", "problem"}; TK403
where the id of the job or of its parent does not begin with job_prefix.
Callers: tallymark_writer, tallymark_admin.';

REVOKE ALL ON FUNCTION tallymark.receive_job(jsonb, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.receive_job(jsonb, text) TO tallymark_writer, tallymark_admin;
