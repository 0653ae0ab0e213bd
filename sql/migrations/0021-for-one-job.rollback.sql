-- Drops the functions that came with it; the release before does not call them.

SET LOCAL lock_timeout = '2s';
SET LOCAL search_path = pg_catalog, pg_temp;

DO $$
DECLARE
  v_functions CONSTANT text[] := ARRAY(
    SELECT p.oid::pg_catalog.regprocedure::text FROM pg_catalog.pg_proc AS p
    WHERE p.pronamespace = 'tallymark'::pg_catalog.regnamespace
      AND p.proname IN ('receive_for_job', 'keep_shards', 'plan_growth'));
  v_function text;
BEGIN
  FOREACH v_function IN ARRAY v_functions LOOP
    EXECUTE 'DROP FUNCTION IF EXISTS ' || v_function || ' CASCADE';
  END LOOP;
END
$$;
