-- Notes how the runs went that running ones are held against.

CREATE OR REPLACE FUNCTION tallymark.note_paces(max_runs integer DEFAULT 100) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  c_runs CONSTANT integer := 10; -- as run_comparison
  v_series text;
  v_run record;
  v_pace tallymark.job_pace;
  v_seq bigint;
  v_noted bigint := 0;
BEGIN
  FOREACH v_series IN ARRAY ARRAY(
    SELECT DISTINCT j.series FROM tallymark.job AS j WHERE j.status = 'running' AND j.series IS NOT NULL ORDER BY j.series)
  LOOP
    FOR v_run IN
      SELECT r.id, r.last_seq FROM tallymark.job AS r
      WHERE r.series = v_series AND r.status = 'finished'
      ORDER BY r.created_at DESC, r.id DESC
      LIMIT c_runs
    LOOP
      EXIT WHEN v_noted >= coalesce(note_paces.max_runs, 100);
      SELECT p.seq INTO v_seq FROM tallymark.job_pace AS p WHERE p.job_id = v_run.id;
      IF v_seq IS DISTINCT FROM v_run.last_seq THEN
        v_pace := tallymark.run_pace(v_run.id);
        IF v_pace.seq IS NOT NULL THEN
          PERFORM tallymark.store_pace(v_pace);
          v_noted := v_noted + 1;
        END IF;
      END IF;
    END LOOP;
  END LOOP;
  RETURN v_noted;
END
$$;

COMMENT ON FUNCTION tallymark.note_paces(integer) IS
'Notes how the finished runs of a series went that a running one is held against, so that their ledgers are read once.
tallymark watchdog calls it in each round. Without it all is the same, and slower.
Arguments: max_runs: how many at most, null for 100.
Returns: how many were noted.
Callers: tallymark_admin.
Locks: the rows of these jobs FOR KEY SHARE, which no merge waits for, until the end of the transaction.
Cost: two lookups for each of 10 runs of each series that is running, and the ledgers of those that are noted.';

REVOKE ALL ON FUNCTION tallymark.note_paces(integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.note_paces(integer) TO tallymark_admin;
