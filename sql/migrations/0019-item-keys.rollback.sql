-- Takes the keys of items away. Where some were counted, the older release could not tell an item that comes again, nor
-- fold the ledger: then it refuses, and nothing is taken away.

SET LOCAL lock_timeout = '2s';
SET LOCAL search_path = pg_catalog, pg_temp;

DO $$
DECLARE
  v_functions CONSTANT text[] := ARRAY(
    SELECT p.oid::pg_catalog.regprocedure::text FROM pg_catalog.pg_proc AS p
    WHERE p.pronamespace = 'tallymark'::pg_catalog.regnamespace
      AND p.proname IN ('item_keys_hold', 'types_counted_twice', 'item_keys_problems', 'item_digest', 'prepare_item_keys',
        'item_counts', 'merge_item_keys', 'first_counts', 'unseen_items', 'receive_unseen', 'fold_items',
        'item_differences', 'item_page'));
  v_function text;
BEGIN
  IF pg_catalog.to_regclass('tallymark.job_item') IS NOT NULL THEN -- it may be run again
    LOCK TABLE tallymark.job_item IN ACCESS EXCLUSIVE MODE; -- nothing is counted after the look
    IF EXISTS (SELECT FROM tallymark.job_item) THEN
      RAISE EXCEPTION USING ERRCODE = 'TK409', MESSAGE = 'Items were counted by their keys',
        DETAIL = 'The release before this one cannot count on without the keys.',
        HINT = 'Stay, or restore a backup from before the first update with itemKeys.';
    END IF;
  END IF;
  FOREACH v_function IN ARRAY v_functions LOOP
    EXECUTE 'DROP FUNCTION IF EXISTS ' || v_function || ' CASCADE';
  END LOOP;
END
$$;

DROP TABLE IF EXISTS tallymark.job_item;
