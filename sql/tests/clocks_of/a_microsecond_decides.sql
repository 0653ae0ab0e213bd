-- The clocks of fields are exact to the microsecond, for old fields and for the newest, at any date.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(6);
\ir ../helpers.psql

CREATE FUNCTION pg_temp.stage_after(at text, stage text) RETURNS text LANGUAGE sql
RETURN (SELECT j.progress ->> 'stage'
  FROM pg_temp.job_after(jsonb_build_object('timestamp', at, 'stage', stage)) AS j);
DO $$
BEGIN
  PERFORM tallymark.create_job('job');
  -- The newest update gives no stage, so that the stage is decided by its own clock.
  PERFORM tallymark.merge_progress('job', '{"timestamp": "2025-01-06T10:00:00Z", "message": "newest"}');
END
$$;
SELECT is(pg_temp.stage_after('2024-01-06T10:00:00.000001Z', 'a'), 'a', 'the first to give the field');
SELECT is(pg_temp.stage_after('2024-01-06T10:00:00.000000Z', 'b'), 'a', 'a microsecond earlier loses');
SELECT is(pg_temp.stage_after('2024-01-06T10:00:00.000002Z', 'c'), 'c', 'a microsecond later wins');
SELECT is(pg_temp.stage_after('1969-07-20T20:17:40Z', 'd'), 'c', 'a time before 1970 is the earlier');
SELECT is(pg_temp.stage_after('2024-01-06T12:00:00.000003+02:00', 'e'), 'e', 'the offset from UTC is in it');
SET LOCAL TimeZone = 'Pacific/Auckland';
SELECT is(pg_temp.stage_after('2024-01-06T10:00:00.000002', 'f'), 'e', 'and the session''s zone is not');

SELECT * FROM finish();
ROLLBACK;
