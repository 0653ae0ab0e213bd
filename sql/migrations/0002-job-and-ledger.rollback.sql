-- Takes the jobs and their ledger away, and with them the functions, whose arguments are rows of these tables.

SET LOCAL lock_timeout = '5s';

DROP TABLE IF EXISTS tallymark.job_event CASCADE;
DROP TABLE IF EXISTS tallymark.job CASCADE;

DO $$
DECLARE
  v_function regprocedure;
BEGIN
  FOR v_function IN
    SELECT p.oid FROM pg_catalog.pg_proc AS p WHERE p.pronamespace = 'tallymark'::pg_catalog.regnamespace
  LOOP
    -- An earlier one may have taken this one with it.
    EXECUTE pg_catalog.format('DROP FUNCTION IF EXISTS %s CASCADE', v_function);
  END LOOP;
END
$$;
