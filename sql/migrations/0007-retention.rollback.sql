-- Takes retention away. Where events were pruned, the older release could not tell a late duplicate of theirs, nor
-- fold the ledger: then it refuses, and nothing is taken away.

SET LOCAL lock_timeout = '2s';
SET LOCAL search_path = pg_catalog, pg_temp;

DO $$
DECLARE
  v_functions CONSTANT text[] := ARRAY(
    SELECT p.oid::pg_catalog.regprocedure::text FROM pg_catalog.pg_proc AS p
    WHERE p.pronamespace = 'tallymark'::pg_catalog.regnamespace
      AND p.proname IN ('key_digest', 'baseline_digest', 'fold_updates', 'pending_command', 'known_pruned_updates',
        'is_pruned', 'baseline_differences', 'prunable_events', 'prune_job', 'ended_jobs', 'job_record', 'ledger_page', 'delete_job',
        'resummarize_ledger'));
  v_function text;
BEGIN
  IF EXISTS (SELECT FROM tallymark.job_baseline) THEN
    RAISE EXCEPTION USING ERRCODE = 'TK409', MESSAGE = 'Events were pruned',
      DETAIL = 'The release before this one cannot count on without them.',
      HINT = 'Stay, or restore a backup from before the first tallymark prune.';
  END IF;
  FOREACH v_function IN ARRAY v_functions LOOP
    EXECUTE 'DROP FUNCTION IF EXISTS ' || v_function || ' CASCADE';
  END LOOP;
END
$$;

DROP TABLE IF EXISTS tallymark.pruned_update;
DROP TABLE IF EXISTS tallymark.job_baseline_area;
DROP TABLE IF EXISTS tallymark.job_baseline;
ALTER TABLE tallymark.job DROP COLUMN IF EXISTS pruned_seq;
