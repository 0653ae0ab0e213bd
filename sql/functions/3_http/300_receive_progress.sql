-- Where updates arrive from HTTP: what the wire protocol requires beyond merge_progress.

CREATE OR REPLACE FUNCTION tallymark.receive_progress(
  body jsonb, idempotency_key text DEFAULT NULL, job_prefix text DEFAULT NULL, register boolean DEFAULT false
) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  c_required CONSTANT text[] := '{taskId,status,timestamp}';
  v_update jsonb := receive_progress.body;
  v_job_id text;
BEGIN
  IF receive_progress.idempotency_key IS NOT NULL AND jsonb_typeof(v_update) = 'object'
    AND coalesce(v_update -> 'updateId', 'null') = 'null'
  THEN
    v_update := v_update || jsonb_build_object('updateId', receive_progress.idempotency_key);
  END IF;
  IF receive_progress.register THEN
    PERFORM tallymark.keep_shards(tallymark.jobs_of(v_update, receive_progress.job_prefix), ARRAY[v_update]);
    -- Before any job is locked. As a rule it is an update of a job that is there. A number may be too long to be written as
    -- text.
    IF NOT EXISTS (SELECT 1 FROM tallymark.job AS j
      WHERE j.id = CASE jsonb_typeof(v_update -> 'taskId') WHEN 'string' THEN v_update ->> 'taskId' END)
    THEN
      PERFORM tallymark.register_reported(ARRAY[v_update], c_required, ARRAY[receive_progress.job_prefix], true);
    END IF;
    -- Another transaction may have deleted one while this one waited for it.
    PERFORM tallymark.lock_jobs(tallymark.jobs_of(v_update, receive_progress.job_prefix));
    PERFORM tallymark.register_reported(ARRAY[v_update], c_required, ARRAY[receive_progress.job_prefix], true);
  END IF;
  IF jsonb_typeof(v_update) = 'array' THEN
    RETURN tallymark.merge_batch(v_update, c_required, receive_progress.job_prefix);
  END IF;
  IF tallymark.has_huge_number(v_update) THEN -- before anything is written as text
    PERFORM tallymark.refuse_update('{}', '{}', tallymark.number_problem(v_update));
  END IF;
  v_job_id := v_update ->> 'taskId';
  IF receive_progress.job_prefix <> '' THEN
    PERFORM tallymark.refuse_foreign_job(v_job_id, receive_progress.job_prefix);
  END IF;
  IF v_job_id IS NULL OR v_update ->> 'status' IS NULL OR v_update ->> 'timestamp' IS NULL THEN
    PERFORM tallymark.require_members(v_job_id, v_update, c_required);
    IF v_job_id IS NULL THEN
      PERFORM tallymark.prepare_update(v_job_id, v_update); -- it is no object, which this refuses
    END IF;
  END IF;
  RETURN tallymark.merge_progress(v_job_id, v_update);
END
$$;

COMMENT ON FUNCTION tallymark.receive_progress(jsonb, text, text, boolean) IS
'Merges an update, or a batch of updates, as it arrives over HTTP. Unlike a SQL caller of merge_progress, a crawler
must give taskId, status and timestamp.
Arguments: body: the body of the request, an object or an array of at most 1000; idempotency_key: the header of that
name, used as updateId where body has none, ignored for a batch; job_prefix: the beginning of the ids of the caller''s
jobs, null or empty for all jobs; register: whether a job that is not there is registered, without attributes, by its
first update that can be accepted.
Returns: the acknowledgement of merge_progress; for a batch the array of merge_progress_batch, where the status of a
refused update may also be 403.
Errors: TK400, TK404 and TK413 as merge_progress and merge_progress_batch; TK403 where the id of a single update''s job
does not begin with job_prefix. MESSAGE is what the wire protocol answers as error.
With register there is no TK404.
Callers: tallymark_writer, tallymark_admin.';

REVOKE ALL ON FUNCTION tallymark.receive_progress(jsonb, text, text, boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.receive_progress(jsonb, text, text, boolean) TO tallymark_writer, tallymark_admin;
