-- Takes areas and commands away, and with them all functions and views, which are made for these tables: the release
-- that is gone back to installs its own.

SET LOCAL lock_timeout = '5s';
SET LOCAL search_path = pg_catalog, pg_temp;

DO $$
DECLARE
  v_objects CONSTANT text[] := ARRAY(
    SELECT 'VIEW IF EXISTS ' || c.oid::pg_catalog.regclass FROM pg_catalog.pg_class AS c
    WHERE c.relnamespace = 'tallymark'::pg_catalog.regnamespace AND c.relkind = 'v'
    UNION ALL
    SELECT 'FUNCTION IF EXISTS ' || p.oid::pg_catalog.regprocedure FROM pg_catalog.pg_proc AS p
    WHERE p.pronamespace = 'tallymark'::pg_catalog.regnamespace);
  v_object text;
BEGIN
  FOREACH v_object IN ARRAY v_objects LOOP
    -- An earlier one may have taken this one with it.
    EXECUTE 'DROP ' || v_object || ' CASCADE';
  END LOOP;
END
$$;

UPDATE tallymark.job SET requested_command = NULL WHERE requested_command IS NOT NULL;
DROP TABLE IF EXISTS tallymark.job_area;
ALTER TABLE tallymark.job DROP COLUMN IF EXISTS command_seq;
DROP TYPE IF EXISTS tallymark.batch_update;
