-- Tells whether a crawler that reports a status obeys a command with it.

CREATE OR REPLACE FUNCTION tallymark.obeys(command text, job_status text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
-- An end settles all: there is no crawler any more that could do anything.
RETURN CASE command
  WHEN 'pause' THEN job_status = 'paused' OR tallymark.is_terminal(job_status)
  WHEN 'cancel' THEN tallymark.is_terminal(job_status)
  WHEN 'resume' THEN job_status = 'running' OR tallymark.is_terminal(job_status)
END;

COMMENT ON FUNCTION tallymark.obeys(text, text) IS
'Tells whether a crawler that reports a status obeys a command with it.
Arguments: command: pause, cancel or resume; job_status: the status of the job after the update (see job_status).
Returns: true or false; null for any other command.';

REVOKE ALL ON FUNCTION tallymark.obeys(text, text) FROM PUBLIC;
