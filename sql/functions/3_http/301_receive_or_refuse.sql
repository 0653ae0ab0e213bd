-- Merges an update as receive_progress does, but gives a refusal as a value, so that it affects no other update of the
-- transaction.

CREATE OR REPLACE FUNCTION tallymark.receive_or_refuse(
  body jsonb, idempotency_key text, job_prefix text, OUT answer jsonb, OUT refusal jsonb
)
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  v_sqlstate text;
  v_message text;
  v_detail text;
  v_hint text;
BEGIN
  answer := tallymark.receive_progress(
    receive_or_refuse.body, receive_or_refuse.idempotency_key, receive_or_refuse.job_prefix);
-- All refusals of receive_progress; receive_group has the same list.
EXCEPTION WHEN SQLSTATE 'TK400' OR SQLSTATE 'TK403' OR SQLSTATE 'TK404' OR SQLSTATE 'TK409' OR SQLSTATE 'TK413' THEN
  GET STACKED DIAGNOSTICS v_sqlstate = RETURNED_SQLSTATE, v_message = MESSAGE_TEXT, v_detail = PG_EXCEPTION_DETAIL,
    v_hint = PG_EXCEPTION_HINT;
  refusal := jsonb_build_object(
    'sqlstate', v_sqlstate, 'message', v_message, 'detail', v_detail, 'hint', v_hint);
END
$$;

COMMENT ON FUNCTION tallymark.receive_or_refuse(jsonb, text, text) IS
'Merges an update, or a batch, as receive_progress does, but gives a refusal as a value.
Arguments: body, idempotency_key, job_prefix: those of receive_progress.
Returns: answer: what receive_progress returns, or null; refusal: null, or where it was refused {"sqlstate", "message",
"detail", "hint"}: the fields of the error that receive_progress raises.
Locks: as receive_progress.';

REVOKE ALL ON FUNCTION tallymark.receive_or_refuse(jsonb, text, text) FROM PUBLIC;
