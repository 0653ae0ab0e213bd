-- Validates one update of a batch. What is wrong with it is a value here, so that the other updates are not affected.

CREATE OR REPLACE FUNCTION tallymark.judge_update(number bigint, payload jsonb, required text[], job_prefix text)
RETURNS tallymark.batch_update
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  v tallymark.batch_update;
  v_canonical text;
  v_prepared jsonb;
  v_sqlstate text;
  v_message text;
  v_detail text;
BEGIN
  v.number := judge_update.number;
  v.warnings := '[]'::jsonb;
  IF tallymark.has_huge_number(judge_update.payload) THEN -- before anything is written as text
    v.refusal := tallymark.refusal('TK400', 'Invalid progress payload',
      tallymark.number_problem(judge_update.payload)::text);
    RETURN v;
  END IF;
  v.job_id := judge_update.payload ->> 'taskId';
  v.payload := judge_update.payload;
  v_canonical := v.payload::text;
  v.at := tallymark.parse_timestamp(v.payload ->> 'timestamp');
  IF NOT starts_with(v.job_id, judge_update.job_prefix) OR NOT v.payload ?& judge_update.required
    OR tallymark.is_plain_update(v.job_id, v.payload, v_canonical, v.at) IS NOT TRUE
  THEN
    PERFORM tallymark.refuse_foreign_job(v.job_id, judge_update.job_prefix);
    PERFORM tallymark.require_members(v.job_id, v.payload, judge_update.required);
    v_prepared := tallymark.prepare_update(v.job_id, v.payload);
    v.payload := v_prepared -> 'update';
    v.warnings := v_prepared -> 'warnings';
  END IF;
  v.key := tallymark.update_key(v.payload, v_canonical);
  RETURN v;
EXCEPTION WHEN SQLSTATE 'TK400' OR SQLSTATE 'TK403' OR SQLSTATE 'TK413' THEN
  GET STACKED DIAGNOSTICS v_sqlstate = RETURNED_SQLSTATE, v_message = MESSAGE_TEXT, v_detail = PG_EXCEPTION_DETAIL;
  v.payload := NULL; -- it may be any JSON value
  v.refusal := tallymark.refusal(v_sqlstate, v_message, v_detail);
  RETURN v;
END
$$;

COMMENT ON FUNCTION tallymark.judge_update(bigint, jsonb, text[], text) IS
'Validates one update of a batch by itself.
Arguments: number: its place in the batch; payload: the update as it came; required: members that it must have;
job_prefix: the prefix that its job''s id must have, empty for all jobs.
Returns: number, job_id, at (its timestamp, or null), key, payload in the form that is merged, and warnings; or, where
it must be refused, refusal.';

REVOKE ALL ON FUNCTION tallymark.judge_update(bigint, jsonb, text[], text) FROM PUBLIC;
