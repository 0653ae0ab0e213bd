-- Takes away what the dashboard reads by, the failed sign-ins, and the functions that are made for them or have other
-- arguments or columns than before: the release that is gone back to installs its own.

SET LOCAL lock_timeout = '5s';
SET LOCAL search_path = pg_catalog, pg_temp;

DO $$
DECLARE
  v_functions CONSTANT text[] := ARRAY(
    SELECT p.oid::pg_catalog.regprocedure::text FROM pg_catalog.pg_proc AS p
    WHERE p.pronamespace = 'tallymark'::pg_catalog.regnamespace
      AND p.proname IN ('error_groups', 'timeline', 'timeline_page', 'sign_in_wait', 'note_failed_sign_in', 'job_row',
        'job_tag', 'newest_jobs', 'jobs_by_status', 'job_rates', 'job_changes', 'timeline_before',
        'timeline_before_page', 'events_per_minute', 'throughput_page', 'verify_page', 'verify_newest',
        'database_figures', 'busiest_jobs', 'busiest_page', 'recent_failures'));
  v_function text;
BEGIN
  FOREACH v_function IN ARRAY v_functions LOOP
    EXECUTE 'DROP FUNCTION IF EXISTS ' || v_function || ' CASCADE';
  END LOOP;
END
$$;

DROP TABLE IF EXISTS tallymark.sign_in;
DROP INDEX IF EXISTS tallymark.job_event_recorded_idx;
DROP INDEX IF EXISTS tallymark.job_status_created_idx;
DROP INDEX IF EXISTS tallymark.job_created_idx;
DROP INDEX IF EXISTS tallymark.job_failed_idx;
