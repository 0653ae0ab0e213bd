-- Drops the views that came with it, and the functions; the release before installs its own. What others built on the
-- views is not dropped with them: PostgreSQL names it and refuses.

SET LOCAL lock_timeout = '2s';
SET LOCAL search_path = pg_catalog, pg_temp;

DROP VIEW IF EXISTS tallymark.jobs;
DROP VIEW IF EXISTS tallymark.events;

DO $$
DECLARE
  v_functions CONSTANT text[] := ARRAY(
    SELECT p.oid::pg_catalog.regprocedure::text FROM pg_catalog.pg_proc AS p
    WHERE p.pronamespace = 'tallymark'::pg_catalog.regnamespace
      AND p.proname IN ('receive_progress', 'receive_group', 'register_reported', 'update_status'));
  v_function text;
BEGIN
  FOREACH v_function IN ARRAY v_functions LOOP
    EXECUTE 'DROP FUNCTION IF EXISTS ' || v_function || ' CASCADE';
  END LOOP;
END
$$;
