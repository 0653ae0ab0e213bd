-- Merges an update as receive_progress does, but gives a refusal as a value, so that it affects no other update of the
-- transaction.

CREATE OR REPLACE FUNCTION tallymark.receive_or_refuse(
  body jsonb, idempotency_key text, job_prefix text, wait boolean, OUT answer jsonb, OUT refusal jsonb, OUT held text
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
  IF NOT receive_or_refuse.wait THEN
    held := (tallymark.lock_free_jobs(tallymark.jobs_of(receive_or_refuse.body, receive_or_refuse.job_prefix)))[1];
  END IF;
  IF held IS NULL THEN
    answer := tallymark.receive_progress(
      receive_or_refuse.body, receive_or_refuse.idempotency_key, receive_or_refuse.job_prefix);
  END IF;
-- All refusals of receive_progress; receive_group has the same list.
EXCEPTION WHEN SQLSTATE 'TK400' OR SQLSTATE 'TK403' OR SQLSTATE 'TK404' OR SQLSTATE 'TK409' OR SQLSTATE 'TK413' THEN
  GET STACKED DIAGNOSTICS v_sqlstate = RETURNED_SQLSTATE, v_message = MESSAGE_TEXT, v_detail = PG_EXCEPTION_DETAIL,
    v_hint = PG_EXCEPTION_HINT;
  refusal := jsonb_build_object(
    'sqlstate', v_sqlstate, 'message', v_message, 'detail', v_detail, 'hint', v_hint);
END
$$;

COMMENT ON FUNCTION tallymark.receive_or_refuse(jsonb, text, text, boolean) IS
'Merges an update, or a batch, as receive_progress does, but gives a refusal as a value.
Arguments: body, idempotency_key, job_prefix: those of receive_progress; wait: whether to wait for a job that another
transaction holds.
Returns: answer: what receive_progress returns, or null; refusal: null, or where it was refused {"sqlstate", "message",
"detail", "hint"}: the fields of the error that receive_progress raises; held: null, or without wait a job of it that
another transaction holds; nothing was merged then.
Locks: without wait the rows of the body''s jobs; then as receive_progress.';

REVOKE ALL ON FUNCTION tallymark.receive_or_refuse(jsonb, text, text, boolean) FROM PUBLIC;
