-- Receives a sign of life over HTTP.

CREATE OR REPLACE FUNCTION tallymark.receive_alive(body jsonb, job_id text) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF jsonb_typeof(receive_alive.body) IS DISTINCT FROM 'object' THEN
    RAISE EXCEPTION USING ERRCODE = 'TK400', MESSAGE = 'Invalid request body',
      DETAIL = '[{"field": "", "problem": "must be a JSON object"}]', HINT = 'Send {"workerId": "w1"}, or nothing.';
  ELSIF jsonb_typeof(receive_alive.body -> 'workerId') NOT IN ('string', 'null') THEN
    RAISE EXCEPTION USING ERRCODE = 'TK400', MESSAGE = 'Invalid sign of life',
      DETAIL = jsonb_build_array(jsonb_build_object('field', 'workerId', 'problem', tallymark.member_rule('workerId')))::text,
      HINT = 'Correct the named field.';
  END IF;
  RETURN tallymark.note_alive(receive_alive.job_id, receive_alive.body ->> 'workerId');
END
$$;

COMMENT ON FUNCTION tallymark.receive_alive(jsonb, text) IS
'Notes a sign of life as it arrives over HTTP.
Arguments: body: the body of the request, {"workerId": "w1"} or {}; job_id: the job, from the path.
Returns: {"command": the command of an operator that is pending: pause, resume, cancel or null}.
Errors: TK400 and TK404 as note_alive; TK400 also where body is not an object. MESSAGE is what the wire protocol answers
as error.
Callers: tallymark_writer, tallymark_admin.
Locks: as note_alive.';

REVOKE ALL ON FUNCTION tallymark.receive_alive(jsonb, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.receive_alive(jsonb, text) TO tallymark_writer, tallymark_admin;
