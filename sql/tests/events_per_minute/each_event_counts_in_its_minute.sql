-- Events are counted by the minute in which they were recorded, by the server's clock. Minutes without events are
-- listed, too.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(11);

DO $$
BEGIN
  PERFORM tallymark.create_job(id) FROM unnest('{E 1,E 2,F}'::text[]) AS id;
  PERFORM tallymark.merge_progress(id, jsonb_build_object('processedItems', n)
    || CASE WHEN n = 2 THEN '{"error": "e"}'::jsonb ELSE '{}' END)
  FROM unnest('{E 1,E 2,F}'::text[]) AS id, generate_series(1, 3) AS n;
  -- The first events at the beginning of a minute, the others at the end of the one after.
  UPDATE tallymark.job_event SET recorded_at = CASE seq WHEN 1 THEN '2001-01-06 10:05:00+00'
    ELSE '2001-01-06 10:06:59.999999+00' END::timestamptz
  WHERE job_id IN ('E 1', 'E 2', 'F');
  UPDATE tallymark.job_event SET recorded_at = '2001-01-06 10:08:10+00' WHERE job_id = 'E 2' AND seq = 3;
END
$$;
CREATE FUNCTION pg_temp.told(minutes integer, prefix text, as_of timestamptz) RETURNS text LANGUAGE sql RETURN (
  SELECT string_agg(concat_ws(' ', to_char(m.minute AT TIME ZONE 'UTC', 'HH24:MI:SS'), m.events, m.errors, m.jobs),
    '; ')
  FROM tallymark.events_per_minute(minutes, prefix, as_of) AS m);

SELECT is(pg_temp.told(4, NULL, '2001-01-06 10:08:30+00'),
  '10:05:00 3 0 3; 10:06:00 5 3 3; 10:07:00 0 0 0; 10:08:00 1 0 1', 'events, errors and jobs');
SELECT is(pg_temp.told(3, 'E ', '2001-01-06 10:08:30+00'),
  '10:06:00 3 2 2; 10:07:00 0 0 0; 10:08:00 1 0 1', 'with id_prefix');
SELECT is(pg_temp.told(1, NULL, '2001-01-06 10:08:05+00'), '10:08:00 0 0 0', 'nothing after as_of');
SELECT is(pg_temp.told(1, NULL, '2001-01-06 10:08:10+00'), '10:08:00 1 0 1', 'but events at as_of');
SELECT is(pg_temp.told(0, NULL, NULL), NULL, 'none');
SELECT is(pg_temp.told(-1, NULL, NULL), NULL, 'a negative number gives none');
SELECT is((SELECT count(*) FROM tallymark.events_per_minute()), 30::bigint, 'half an hour');
SELECT is((SELECT count(*) FROM tallymark.events_per_minute(NULL)), 30::bigint, 'also for null');
SELECT is((SELECT count(*) FROM tallymark.events_per_minute(1000000)), 1440::bigint, 'a day at most');
SELECT is((SELECT max(minute) FROM tallymark.events_per_minute()), date_trunc('minute', statement_timestamp()),
  'this minute is the last');
-- The time zone of a session may differ from UTC by half an hour; in no present zone minutes begin at other times.
SET LOCAL timezone = 'Asia/Kathmandu';
SELECT is(pg_temp.told(1, NULL, '2001-01-06 10:05:30+00'), '10:05:00 3 0 3', 'in any time zone');

SELECT * FROM finish();
ROLLBACK;
