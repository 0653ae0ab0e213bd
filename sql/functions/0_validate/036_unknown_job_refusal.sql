-- Gives the refusal of an update for an unknown job as a value.

CREATE OR REPLACE FUNCTION tallymark.unknown_job_refusal(job_id text) RETURNS jsonb
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  v_sqlstate text;
  v_message text;
  v_detail text;
BEGIN
  PERFORM tallymark.refuse_unknown_job(unknown_job_refusal.job_id);
  RETURN NULL; -- not reached: it always raises
EXCEPTION WHEN SQLSTATE 'TK400' OR SQLSTATE 'TK404' THEN
  GET STACKED DIAGNOSTICS v_sqlstate = RETURNED_SQLSTATE, v_message = MESSAGE_TEXT, v_detail = PG_EXCEPTION_DETAIL;
  RETURN tallymark.refusal(v_sqlstate, v_message, v_detail);
END
$$;

COMMENT ON FUNCTION tallymark.unknown_job_refusal(text) IS
'Gives what refuse_unknown_job raises as a value, in the form of refusal.
Arguments: job_id: an id under which no job is registered.';

REVOKE ALL ON FUNCTION tallymark.unknown_job_refusal(text) FROM PUBLIC;
