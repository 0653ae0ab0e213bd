-- Where operators' commands arrive from HTTP.

CREATE OR REPLACE FUNCTION tallymark.receive_command(body jsonb, job_id text, requested_by text DEFAULT NULL)
RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF jsonb_typeof(receive_command.body) IS DISTINCT FROM 'object' THEN
    RAISE EXCEPTION USING ERRCODE = 'TK400', MESSAGE = 'Invalid request body',
      DETAIL = '[{"field": "", "problem": "must be a JSON object"}]', HINT = 'Send {"command": "pause"}.';
  END IF;
  RETURN tallymark.request_command(receive_command.job_id,
    CASE WHEN jsonb_typeof(receive_command.body -> 'command') = 'string' THEN receive_command.body ->> 'command' END,
    receive_command.requested_by);
END
$$;

COMMENT ON FUNCTION tallymark.receive_command(jsonb, text, text) IS
'Gives a command to a job''s crawler as it arrives over HTTP.
Arguments: body: the body of the request, {"command": "pause"}, "resume" or "cancel"; job_id: the job, from the path;
requested_by: the name of the caller''s token, or null.
Returns: the job as get_job gives it, without events.
Errors: TK400, TK404 and TK409 as request_command; TK400 also where body is not an object. MESSAGE is what the wire
protocol answers as error.
Callers: tallymark_writer, tallymark_admin.';

REVOKE ALL ON FUNCTION tallymark.receive_command(jsonb, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.receive_command(jsonb, text, text) TO tallymark_writer, tallymark_admin;
