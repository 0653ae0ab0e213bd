-- Forgets families and series, and drops the functions that came with them or got parameters. Jobs, attributes and ledgers
-- stay, so a later upgrade knows the series again, but neither the parents nor how pruned runs went.

SET LOCAL lock_timeout = '2s';
SET LOCAL search_path = pg_catalog, pg_temp;

DO $$
DECLARE
  v_functions CONSTANT text[] := ARRAY(
    SELECT p.oid::pg_catalog.regprocedure::text FROM pg_catalog.pg_proc AS p
    WHERE p.pronamespace = 'tallymark'::pg_catalog.regnamespace
      AND p.proname IN ('attribute_matches', 'list_jobs', 'newest_jobs', 'create_job', 'check_job', 'family', 'run_pace', 'pace_points',
        'run_comparison', 'series_rhythm', 'run_document', 'series_runs', 'job_series', 'store_pace', 'note_paces',
        'series_conditions'));
  v_function text;
BEGIN
  FOREACH v_function IN ARRAY v_functions LOOP
    EXECUTE 'DROP FUNCTION IF EXISTS ' || v_function || ' CASCADE';
  END LOOP;
END
$$;

DROP TABLE IF EXISTS tallymark.job_pace;
DELETE FROM tallymark.alert AS a WHERE a.kind IN ('unusual', 'missed'); -- no release before knows them
COMMENT ON COLUMN tallymark.alert.kind IS
  'stalled, failed, shortfall, credentials, errors or mismatch; see alert_conditions.';
-- It has columns that go; all views are installed again.
DROP VIEW IF EXISTS tallymark.jobs;
ALTER TABLE tallymark.job DROP COLUMN IF EXISTS series;
ALTER TABLE tallymark.job DROP COLUMN IF EXISTS parent;
DROP INDEX IF EXISTS tallymark.job_attributes_idx;
