-- Verifies a job and stores the outcome.

CREATE OR REPLACE FUNCTION tallymark.note_verification(job_id text) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  v_now CONSTANT timestamptz := clock_timestamp();
  v_events bigint;
  v_difference jsonb;
  v_page jsonb;
BEGIN
  -- In one statement, and so in one snapshot: the number belongs to the state that was verified.
  SELECT (tallymark.get_job(note_verification.job_id, 0) -> 'lastSeq')::bigint, (
    SELECT jsonb_build_object('seq', d.seq, 'field', d.field)
    FROM tallymark.verify_differences(note_verification.job_id) AS d ORDER BY d.seq, d.field LIMIT 1)
  INTO v_events, v_difference;
  IF v_difference IS NOT NULL AND to_regclass('pg_catalog.pg_dist_partition') IS NOT NULL THEN
    -- As in verify_job: it may be an update that came between two queries.
    EXECUTE 'SELECT a.result::jsonb FROM run_command_on_coordinator($1) AS a WHERE a.success'
    INTO v_page USING format('SELECT tallymark.verify_page(%L)', note_verification.job_id);
    IF v_page IS NOT NULL THEN
      v_events := (v_page -> 'events')::bigint;
      v_difference := (
        SELECT jsonb_build_object('seq', d -> 'seq', 'field', d -> 'field')
        FROM jsonb_array_elements(v_page -> 'differences') AS d ORDER BY (d -> 'seq')::bigint, d ->> 'field' LIMIT 1);
    END IF;
  END IF;
  INSERT INTO tallymark.job_check AS c (job_id, checked_at, events, exact, difference)
  VALUES (note_verification.job_id, v_now, v_events, v_difference IS NULL, v_difference)
  ON CONFLICT ON CONSTRAINT job_check_pkey DO UPDATE
  SET checked_at = excluded.checked_at, events = excluded.events, exact = excluded.exact,
    difference = excluded.difference
  WHERE c.checked_at < excluded.checked_at; -- of two at the same time the one that began last counts
  RETURN v_difference IS NULL;
END
$$;

COMMENT ON FUNCTION tallymark.note_verification(text) IS
'Verifies a job, as verify_job does, and stores the outcome: the metrics show it, and a mismatch raises an alert.
Arguments: job_id: a registered job.
Returns: whether the stored state is the fold of the ledger.
Errors: TK404 where there is no such job; TK400 where job_id is null, empty or too long.
Callers: tallymark_admin.
Locks: no job.
Cost: reads the job''s ledger and merges each update of it again.';

REVOKE ALL ON FUNCTION tallymark.note_verification(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.note_verification(text) TO tallymark_admin;
