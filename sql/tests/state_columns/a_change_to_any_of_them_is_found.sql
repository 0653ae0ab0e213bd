-- The columns that are the state are columns of the table, a baseline keeps them and nothing else, and a change to any
-- of them by other means is a difference.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(16);

SELECT set_eq($$SELECT s FROM unnest(tallymark.state_columns()) AS s EXCEPT SELECT attname::text FROM pg_attribute
  WHERE attrelid = 'tallymark.job'::regclass AND attnum > 0 AND NOT attisdropped$$, '{}'::text[], 'all are columns of the job');

DO $$
BEGIN
  PERFORM tallymark.create_job('job');
  PERFORM tallymark.merge_progress('job', '{"status": "started", "timestamp": "2025-01-06T10:00:00Z", "stage": "s"}');
  PERFORM tallymark.prune_job('job', 'infinity', 0);
END
$$;
SELECT set_eq($$SELECT jsonb_object_keys(b.state) FROM tallymark.job_baseline AS b
  WHERE b.job_id = 'job'$$,
  $$SELECT unnest(tallymark.state_columns())$$, 'a baseline keeps all of them');
SELECT is_empty($$SELECT * FROM tallymark.verify_differences('job')$$, 'the job verifies');

-- The fields that differ after a column was changed; the change is rolled back.
CREATE FUNCTION pg_temp.found(name text) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
  v_found text[];
BEGIN
  EXECUTE format('UPDATE tallymark.job SET %I = %s WHERE id = ''job''', name, (
    SELECT CASE a.atttypid::regtype::text WHEN 'jsonb' THEN '''{"changed": 1}''' WHEN 'text[]' THEN '''{changed}'''
      WHEN 'bigint' THEN '99' WHEN 'text' THEN '''changed''' ELSE '''2001-01-01Z''' END
    FROM pg_attribute AS a WHERE a.attrelid = 'tallymark.job'::regclass AND a.attname = name));
  v_found := ARRAY(SELECT d.field FROM tallymark.verify_differences('job') AS d);
  RAISE EXCEPTION USING ERRCODE = 'ZZ000', MESSAGE = 'taken back';
EXCEPTION WHEN SQLSTATE 'ZZ000' THEN
  RETURN v_found;
END
$$;
SELECT ok(CASE c WHEN 'progress' THEN 'changed' ELSE c END = ANY (pg_temp.found(c)), 'a changed ' || c || ' is found')
FROM unnest(tallymark.state_columns()) AS c;

SELECT * FROM finish();
ROLLBACK;
