-- Of two updates at the same instant that give the same field, the one with the larger key wins, by its bytes, in
-- whatever order they arrive. Otherwise the state would depend on the network.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(6);

CREATE FUNCTION pg_temp.stage_of(VARIADIC updates jsonb[]) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  v_job CONSTANT text := gen_random_uuid()::text;
  v_update jsonb;
BEGIN
  PERFORM tallymark.create_job(v_job);
  FOREACH v_update IN ARRAY updates LOOP
    PERFORM tallymark.merge_progress(v_job, '{"timestamp": "2025-01-06T10:00:00Z"}' || v_update);
  END LOOP;
  RETURN (SELECT j.progress ->> 'stage' FROM tallymark.job AS j WHERE j.id = v_job);
END
$$;

SELECT is(pg_temp.stage_of('{"updateId": "a", "stage": "of a"}', '{"updateId": "b", "stage": "of b"}'), 'of b',
  'the larger key wins when it comes last');
SELECT is(pg_temp.stage_of('{"updateId": "b", "stage": "of b"}', '{"updateId": "a", "stage": "of a"}'), 'of b',
  'and when it comes first');
SELECT is(pg_temp.stage_of('{"updateId": "a", "stage": "of a"}', '{"updateId": "B", "stage": "of B"}'), 'of a',
  'capital letters come first, as bytes do, whatever the collation of the database');
SELECT is(pg_temp.stage_of('{"updateId": "x9", "stage": "of x9"}', '{"updateId": "x10", "stage": "of x10"}'), 'of x9',
  'keys are text, not numbers');
SELECT is(pg_temp.stage_of('{"updateId": "a", "stage": "of a"}', '{"updateId": "z", "message": "no stage"}'), 'of a',
  'the larger key takes nothing from a field that it does not give');
SELECT is(pg_temp.stage_of('{"updateId": "z", "message": "no stage"}', '{"updateId": "a", "stage": "of a"}',
  '{"updateId": "b", "stage": "of b"}'), 'of b', 'nor does it stand between two smaller ones');

SELECT * FROM finish();
ROLLBACK;
