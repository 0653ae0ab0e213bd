-- Takes the jobs and their ledger away, and with them all functions, which are made for these tables.

SET LOCAL lock_timeout = '5s';

DROP TABLE IF EXISTS tallymark.job_event CASCADE;
DROP TABLE IF EXISTS tallymark.job CASCADE;

DO $$
DECLARE
  v_functions CONSTANT text[] := ARRAY(
    SELECT p.oid::pg_catalog.regprocedure::text FROM pg_catalog.pg_proc AS p
    WHERE p.pronamespace = 'tallymark'::pg_catalog.regnamespace);
  v_function text;
BEGIN
  FOREACH v_function IN ARRAY v_functions LOOP
    -- An earlier one may have taken this one with it.
    EXECUTE 'DROP FUNCTION IF EXISTS ' || v_function || ' CASCADE';
  END LOOP;
END
$$;
