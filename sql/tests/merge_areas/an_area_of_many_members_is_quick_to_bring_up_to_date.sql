-- An area may have as many members as an update can hold. The time to update it must not grow with the square of their
-- number, because the job is locked meanwhile.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(1);

DO $$ BEGIN PERFORM tallymark.create_job('job'); END $$;
CREATE FUNCTION pg_temp.seconds(id text) RETURNS numeric LANGUAGE plpgsql AS $$
DECLARE
  v_update CONSTANT jsonb := jsonb_build_object('updateId', id, 'timestamp', '2025-01-06T10:00:00Z', 'areas',
    jsonb_build_array((SELECT jsonb_object_agg('m' || g.n, g.n) FROM generate_series(1, 20000) AS g (n))
      || '{"fullPath": "g", "type": "group"}'));
  v_begun CONSTANT timestamptz := clock_timestamp();
BEGIN
  PERFORM tallymark.merge_progress('job', v_update);
  RETURN extract(epoch FROM clock_timestamp() - v_begun);
END
$$;
CREATE TEMPORARY TABLE taken AS SELECT pg_temp.seconds('a') AS first;
SELECT cmp_ok(pg_temp.seconds('b'), '<', 10 * t.first, 'to discover it again takes about as long as to discover it')
FROM taken AS t;

SELECT * FROM finish();
ROLLBACK;
