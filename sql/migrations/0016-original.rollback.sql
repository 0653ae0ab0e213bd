-- Drops the functions that import the original's jobs. Jobs that were imported stay.

SET LOCAL lock_timeout = '2s';
SET LOCAL search_path = pg_catalog, pg_temp;

DO $$
DECLARE
  v_functions CONSTANT text[] := ARRAY(
    SELECT p.oid::pg_catalog.regprocedure::text FROM pg_catalog.pg_proc AS p
    WHERE p.pronamespace = 'tallymark'::pg_catalog.regnamespace
      AND p.proname IN ('original_status', 'original_time', 'parse_json', 'original_count', 'original_counts',
        'original_events', 'original_fields', 'without_huge_numbers', 'original_row', 'judge_original',
        'is_known_update', 'import_original_row', 'import_original_job'));
  v_function text;
BEGIN
  FOREACH v_function IN ARRAY v_functions LOOP
    EXECUTE 'DROP FUNCTION IF EXISTS ' || v_function || ' CASCADE';
  END LOOP;
END
$$;
