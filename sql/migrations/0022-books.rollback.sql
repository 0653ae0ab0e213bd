-- Drops the functions that came with the books, and with them those that use them; the release before installs its own.
-- Where jobs have counted in these fields, the release before would take them for fields of the crawler's own, and fold
-- another state: then this refuses, and nothing is taken away.

SET LOCAL lock_timeout = '2s';
SET LOCAL search_path = pg_catalog, pg_temp;

DO $$
DECLARE
  v_functions CONSTANT text[] := ARRAY(
    SELECT p.oid::pg_catalog.regprocedure::text FROM pg_catalog.pg_proc AS p
    WHERE p.pronamespace = 'tallymark'::pg_catalog.regnamespace
      AND p.proname IN ('type_counts_hold', 'counts_problems', 'count_books', 'progress_books', 'progress_shortfall',
        'percentage_of', 'progress_extent', 'counts_text'));
  v_function text;
BEGIN
  IF EXISTS (SELECT FROM tallymark.job AS j WHERE jsonb_typeof(j.clocks -> 'totalsByType') = 'object') THEN
    RAISE EXCEPTION USING ERRCODE = 'TK409', MESSAGE = 'Jobs have counted what they found, failed or skipped',
      DETAIL = 'The release before this one does not know these counts, so it cannot read their ledgers.',
      HINT = 'Stay, or delete these jobs: SELECT id FROM tallymark.job '
        'WHERE jsonb_typeof(clocks -> ''totalsByType'') = ''object''.';
  END IF;
  FOREACH v_function IN ARRAY v_functions LOOP
    EXECUTE 'DROP FUNCTION IF EXISTS ' || v_function || ' CASCADE';
  END LOOP;
END
$$;

DELETE FROM tallymark.alert AS a WHERE a.kind = 'shortfall'; -- no release before knows it
COMMENT ON COLUMN tallymark.alert.kind IS 'stalled, failed, credentials, errors or mismatch; see alert_conditions.';
