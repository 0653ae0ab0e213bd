-- Validates the updates of a batch, each by itself. Most are plain: those are handled in one statement.

CREATE OR REPLACE FUNCTION tallymark.judge_batch(updates jsonb, required text[], job_prefix text)
RETURNS tallymark.batch_update[]
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF tallymark.has_huge_number(judge_batch.updates) THEN -- before anything is written as text
    RETURN ARRAY(
      SELECT tallymark.judge_update(u.number, u.value, judge_batch.required, judge_batch.job_prefix)
      FROM jsonb_array_elements(judge_batch.updates) WITH ORDINALITY AS u (value, number));
  END IF;
  RETURN ARRAY(
    SELECT CASE
      WHEN tallymark.is_plain_update(p.job_id, p.payload, p.canonical, p.at)
        AND p.payload ?& judge_batch.required AND starts_with(p.job_id, judge_batch.job_prefix)
      THEN ROW(p.number, p.job_id, p.at, tallymark.update_key(p.payload, p.canonical), p.payload, '[]'::jsonb, NULL,
        NULL)::tallymark.batch_update
      ELSE tallymark.judge_update(p.number, p.payload, judge_batch.required, judge_batch.job_prefix)
      END
    FROM (
      SELECT u.number, u.value AS payload, u.value ->> 'taskId' AS job_id, u.value::text AS canonical,
        tallymark.parse_timestamp(u.value ->> 'timestamp') AS at
      FROM jsonb_array_elements(judge_batch.updates) WITH ORDINALITY AS u (value, number)
      OFFSET 0 -- so that each of these is computed once
    ) AS p);
END
$$;

COMMENT ON FUNCTION tallymark.judge_batch(jsonb, text[], text) IS
'Validates the updates of a batch, each by itself.
Arguments: updates: a JSON array; required: members that each must have; job_prefix: the prefix that the jobs'' ids
must have, empty for all jobs.
Returns: what judge_update gives for each, in order.';

REVOKE ALL ON FUNCTION tallymark.judge_batch(jsonb, text[], text) FROM PUBLIC;
