-- The wire protocol's door: what HTTP asks of an update beyond what merge_progress asks.

CREATE OR REPLACE FUNCTION tallymark.receive_progress(body jsonb, idempotency_key text DEFAULT NULL) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  v_update jsonb := receive_progress.body;
  v_given jsonb;
  v_missing text[];
  v_job_id text;
BEGIN
  IF tallymark.has_huge_number(v_update) THEN -- before any member is written as text
    PERFORM tallymark.refuse_update('{}', '{}', '[{"field": "", "problem": "must have no number beyond 1e308"}]');
  END IF;
  v_job_id := v_update ->> 'taskId';
  IF receive_progress.idempotency_key IS NOT NULL AND jsonb_typeof(v_update) = 'object'
    AND v_update ->> 'updateId' IS NULL
  THEN
    v_update := v_update || jsonb_build_object('updateId', receive_progress.idempotency_key);
  END IF;
  IF v_job_id IS NULL OR v_update ->> 'status' IS NULL OR v_update ->> 'timestamp' IS NULL THEN
    IF jsonb_typeof(v_update) = 'object' THEN
      v_given := tallymark.without_nulls(v_update);
      v_missing := ARRAY(SELECT f.name FROM unnest('{taskId,status,timestamp}'::text[]) AS f (name)
        WHERE NOT v_given ? f.name);
      PERFORM tallymark.refuse_update(v_given, v_missing, tallymark.update_problems(v_job_id, v_given));
    END IF;
  END IF;
  RETURN tallymark.merge_progress(v_job_id, v_update);
END
$$;

COMMENT ON FUNCTION tallymark.receive_progress(jsonb, text) IS
'Takes an update as it comes over HTTP. Unlike a SQL caller of merge_progress, a crawler must give taskId, status and
timestamp.
Arguments: body, the request''s body; idempotency_key, the header of that name, taken as updateId where body has none.
Returns: the acknowledgement of merge_progress.
Errors: TK400, TK404, TK413, as merge_progress; MESSAGE is what the wire protocol answers as error.';

REVOKE ALL ON FUNCTION tallymark.receive_progress(jsonb, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.receive_progress(jsonb, text) TO tallymark_writer, tallymark_admin;
