-- The wire protocol's door: what HTTP asks of an update beyond what merge_progress asks.

CREATE OR REPLACE FUNCTION tallymark.receive_progress(
  body jsonb, idempotency_key text DEFAULT NULL, job_prefix text DEFAULT NULL
) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  c_required CONSTANT text[] := '{taskId,status,timestamp}';
  v_update jsonb := receive_progress.body;
  v_job_id text;
BEGIN
  IF jsonb_typeof(v_update) = 'array' THEN
    RETURN tallymark.merge_batch(v_update, c_required, receive_progress.job_prefix);
  END IF;
  IF tallymark.has_huge_number(v_update) THEN -- before any member is written as text
    PERFORM tallymark.refuse_update('{}', '{}', tallymark.number_problem(v_update));
  END IF;
  v_job_id := v_update ->> 'taskId';
  IF receive_progress.job_prefix <> '' THEN
    PERFORM tallymark.refuse_foreign_job(v_job_id, receive_progress.job_prefix);
  END IF;
  IF receive_progress.idempotency_key IS NOT NULL AND jsonb_typeof(v_update) = 'object'
    AND v_update ->> 'updateId' IS NULL
  THEN
    v_update := v_update || jsonb_build_object('updateId', receive_progress.idempotency_key);
  END IF;
  IF v_job_id IS NULL OR v_update ->> 'status' IS NULL OR v_update ->> 'timestamp' IS NULL THEN
    PERFORM tallymark.require_members(v_job_id, v_update, c_required);
  END IF;
  RETURN tallymark.merge_progress(v_job_id, v_update);
END
$$;

COMMENT ON FUNCTION tallymark.receive_progress(jsonb, text, text) IS
'Takes an update, or a batch of them, as it comes over HTTP. Unlike a SQL caller of merge_progress, a crawler must give
taskId, status and timestamp.
Arguments: body, the request''s body: an object, or an array of at most 1000; idempotency_key, the header of that name,
taken as updateId where body has none, without a meaning for a batch; job_prefix, what the ids of the caller''s jobs
begin with, null or empty for all jobs.
Returns: the acknowledgement of merge_progress; for a batch the results of merge_progress_batch.
Errors: TK400, TK404, TK413, as merge_progress, and TK403, not the caller''s job; MESSAGE is what the wire protocol
answers as error.';

REVOKE ALL ON FUNCTION tallymark.receive_progress(jsonb, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.receive_progress(jsonb, text, text) TO tallymark_writer, tallymark_admin;
