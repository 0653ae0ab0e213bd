-- Gives what a job waits for. Fields of an earlier wait stay in progress, as all fields do, but are not part of this
-- wait.

CREATE OR REPLACE FUNCTION tallymark.current_wait(job tallymark.job) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF job.status <> 'waiting' THEN
    RETURN NULL;
  END IF;
  RETURN jsonb_build_object(
    'until', CASE WHEN 'waitUntil' = ANY (job.newest_fields) THEN job.progress -> 'waitUntil' END,
    'reason', CASE WHEN 'reason' = ANY (job.newest_fields) THEN job.progress -> 'reason' END);
END
$$;

COMMENT ON FUNCTION tallymark.current_wait(tallymark.job) IS
'Gives until when and for what a job waits.
Arguments: job: a row of tallymark.job.
Returns: {"until", "reason"} as its newest update gave them, each null where it did not; null for a job that does not
wait.';

REVOKE ALL ON FUNCTION tallymark.current_wait(tallymark.job) FROM PUBLIC;
