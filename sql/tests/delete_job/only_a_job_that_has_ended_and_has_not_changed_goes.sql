-- A job is deleted with everything that belongs to it. A late update is then refused and counts for no job.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(9);

DO $$
BEGIN
  PERFORM tallymark.create_job(id, '{"series": "s"}'), tallymark.merge_progress(id,
  '{"updateId": "1", "areas": [{"fullPath": "g", "type": "group"}], "itemKeys": {"pages": ["a"]}}'),
    tallymark.merge_progress(id, '{"updateId": "2"}')
  FROM unnest('{job,other}'::text[]) AS j (id);
  PERFORM tallymark.prune_job(id, 'infinity', 1) FROM unnest('{job,other}'::text[]) AS j (id);
  PERFORM tallymark.note_verification(id), tallymark.note_intake(jsonb_build_array(jsonb_build_object('jobId', id,
    'outcome', 'duplicate'))) FROM unnest('{job,other}'::text[]) AS j (id);
END
$$;
SELECT throws_ok($$SELECT tallymark.delete_job('job')$$, 'TK409', NULL, 'a running job is refused');
SELECT tallymark.merge_progress('job', '{"updateId": "3", "status": "completed"}');
SELECT throws_ok($$SELECT tallymark.delete_job('job', 2)$$, 'TK409', NULL, 'a job with another last event is refused');
SELECT is(tallymark.delete_job('job', 3), 2::bigint, 'it returns the number of events, without the pruned one');
SELECT throws_ok($$SELECT tallymark.delete_job('job')$$, 'TK404', NULL, 'it is gone');
SELECT throws_ok($$SELECT tallymark.merge_progress('job', '{"updateId": "1"}')$$, 'TK404', NULL,
  'a late update is refused');

CREATE FUNCTION pg_temp.tables_with_job(id text) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
  v_table regclass;
  v_found boolean;
  v_tables text[] := '{}';
BEGIN
  FOR v_table IN
    SELECT a.attrelid FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid
    WHERE c.relnamespace = 'tallymark'::regnamespace AND c.relkind = 'r' AND a.attname = 'job_id'
      AND c.relname <> 'alert' ORDER BY c.relname
  LOOP
    EXECUTE format('SELECT EXISTS (SELECT FROM %s WHERE job_id = %L)', v_table, id) INTO v_found;
    IF v_found THEN
      v_tables := v_tables || v_table::text;
    END IF;
  END LOOP;
  RETURN v_tables;
END
$$;
SELECT is(pg_temp.tables_with_job('job'), '{}', 'no table has it any more');
SELECT ok(cardinality(pg_temp.tables_with_job('other')) >= 9, 'the other job is in all of them');
SELECT is_empty($$SELECT * FROM tallymark.verify_differences('other')$$, 'and still verifies');
SELECT tallymark.create_job('job');
SELECT is(tallymark.merge_progress('job', '{"updateId": "1"}') -> 'seq', '1',
  'another job of its id starts from nothing');

SELECT * FROM finish();
ROLLBACK;
