-- Each accepted update appends exactly one event, and each job counts its own 1, 2, 3, despite duplicates and refusals.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(5);

DO $$
DECLARE
  v_number integer;
BEGIN
  PERFORM tallymark.create_job('a');
  PERFORM tallymark.create_job('b');
  FOR v_number IN 1..20 LOOP
    PERFORM tallymark.merge_progress(CASE WHEN v_number % 3 = 0 THEN 'b' ELSE 'a' END,
      jsonb_build_object('updateId', (v_number / 2)::text, 'itemsByType', jsonb_build_object('issues', 1)));
    BEGIN
      PERFORM tallymark.merge_progress('a', '{"stage": 5}');
    EXCEPTION WHEN SQLSTATE 'TK400' THEN
      NULL; -- as it should be
    END;
  END LOOP;
END
$$;
SELECT is(array_agg(seq ORDER BY seq), array_agg(n ORDER BY n), 'job a has no gap')
FROM (SELECT seq, row_number() OVER (ORDER BY seq) AS n FROM tallymark.job_event WHERE job_id = 'a') AS e;
SELECT is(array_agg(seq ORDER BY seq), array_agg(n ORDER BY n), 'nor has job b')
FROM (SELECT seq, row_number() OVER (ORDER BY seq) AS n FROM tallymark.job_event WHERE job_id = 'b') AS e;
SELECT is(max(e.seq), max(j.last_seq), 'last_seq is the last number')
FROM tallymark.job AS j JOIN tallymark.job_event AS e ON e.job_id = j.id WHERE j.id = 'a';
SELECT is(count(*), (max(j.progress #>> '{itemsByType,issues}'))::bigint,
  'there is one event for each update that counted')
FROM tallymark.job AS j JOIN tallymark.job_event AS e ON e.job_id = j.id WHERE j.id = 'a';
SELECT is(count(*), count(DISTINCT update_key),
  'and no key is there twice') FROM tallymark.job_event WHERE job_id = 'a';

SELECT * FROM finish();
ROLLBACK;
