-- Of several statuses at one instant a terminal one wins, whatever the keys and the order; otherwise the larger key
-- wins. The other fields go by the keys alone.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(10);

CREATE FUNCTION pg_temp.status_of(VARIADIC updates text[]) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  v_job CONSTANT text := gen_random_uuid()::text;
  v_update text;
BEGIN
  PERFORM tallymark.create_job(v_job);
  FOREACH v_update IN ARRAY updates LOOP
    PERFORM tallymark.merge_progress(v_job, jsonb_build_object('timestamp', '2025-01-06T10:00:00Z', 'message', v_update,
      'updateId', split_part(v_update, ' ', 1), 'status', split_part(v_update, ' ', 2)));
  END LOOP;
  RETURN (SELECT format('%s, %s%s', j.status, j.progress ->> 'message', CASE WHEN j.finished_at IS NOT NULL
    THEN ', ended' END)
    FROM tallymark.job AS j WHERE j.id = v_job AND tallymark.verify_job(v_job));
END
$$;

SELECT is(pg_temp.status_of('a completed', 'b processing'), 'finished, b processing, ended',
  'a completion and a larger key');
SELECT is(pg_temp.status_of('b processing', 'a completed'), 'finished, b processing, ended', 'the other way round');
SELECT is(pg_temp.status_of('b completed', 'a processing'), 'finished, b completed, ended',
  'a completion and a smaller key');
SELECT is(pg_temp.status_of('a completed', 'b started'), 'finished, b started, ended',
  'a start is no restart at that instant');
SELECT is(pg_temp.status_of('a completed', 'b failed'), 'failed, b failed, ended',
  'of two terminal ones the larger key');
SELECT is(pg_temp.status_of('b failed', 'a completed'), 'failed, b failed, ended', 'the other way round');
SELECT is(pg_temp.status_of('a paused', 'b processing'), 'running, b processing', 'of two running ones the larger key');
SELECT is(pg_temp.status_of('c processing', 'a cancelled', 'b failed'), 'failed, c processing, ended', 'three at once');
SELECT is(pg_temp.status_of('b failed', 'c processing', 'a cancelled'), 'failed, c processing, ended',
  'in another order');
SELECT is(pg_temp.status_of('a failed', 'c processing', 'b paused', 'd cancelled'), 'cancelled, d cancelled, ended',
  'four at once');

SELECT * FROM finish();
ROLLBACK;
