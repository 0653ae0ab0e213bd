-- Takes away what was noted of refused and repeated updates, and the diagnosis that reads it.

SET LOCAL lock_timeout = '2s';
SET LOCAL search_path = pg_catalog, pg_temp;

DO $$
DECLARE
  v_functions CONSTANT text[] := ARRAY(
    SELECT p.oid::pg_catalog.regprocedure::text FROM pg_catalog.pg_proc AS p
    WHERE p.pronamespace = 'tallymark'::pg_catalog.regnamespace
      AND p.proname IN ('note_intake', 'duration_text', 'finding', 'update_figures', 'diagnose_progress',
        'diagnose_waiting', 'diagnose_intake', 'diagnose_order', 'diagnose_counts', 'diagnose_performance',
        'diagnose_job'));
  v_function text;
BEGIN
  FOREACH v_function IN ARRAY v_functions LOOP
    EXECUTE 'DROP FUNCTION IF EXISTS ' || v_function || ' CASCADE';
  END LOOP;
END
$$;

DROP TABLE IF EXISTS tallymark.job_intake;
