-- Three updates in all six orders: each field has the value of the newest update that gave it. The middle one in time
-- wins over the oldest and loses to the newest, field by field.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(6);

CREATE FUNCTION pg_temp.progress_of(VARIADIC minutes integer[]) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  v_job CONSTANT text := gen_random_uuid()::text;
  v_minute integer;
BEGIN
  PERFORM tallymark.create_job(v_job);
  FOREACH v_minute IN ARRAY minutes LOOP
    PERFORM tallymark.merge_progress(v_job, CASE v_minute
      WHEN 1 THEN '{"a": 1, "b": 1, "c": 1, "d": 1, "timestamp": "2025-01-06T10:01:00Z"}'::jsonb
      WHEN 2 THEN '{"a": 2, "b": 2, "e": 2, "timestamp": "2025-01-06T10:02:00Z"}'
      WHEN 3 THEN '{"a": 3, "c": 3, "timestamp": "2025-01-06T10:03:00Z"}' END);
  END LOOP;
  RETURN (SELECT j.progress FROM tallymark.job AS j WHERE j.id = v_job);
END
$$;
SELECT is(pg_temp.progress_of(x, y, z), '{"a": 3, "b": 2, "c": 3, "d": 1, "e": 2}', format('in the order %s, %s, %s',
  x, y, z))
FROM generate_series(1, 3) AS x, generate_series(1, 3) AS y, generate_series(1, 3) AS z
WHERE x <> y AND y <> z AND x <> z;

SELECT * FROM finish();
ROLLBACK;
