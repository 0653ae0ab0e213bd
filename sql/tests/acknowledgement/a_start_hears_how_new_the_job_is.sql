-- Newest wins, so the updates of a restarted crawler whose clock is behind would have no effect. The answer to its
-- start has the time of the newest update, in one form whatever the session's settings, so that it can continue from
-- there.
BEGIN;
SET LOCAL search_path = tap, public;
SET LOCAL TimeZone = 'Asia/Kathmandu';
SET LOCAL DateStyle = 'German';
SELECT plan(12);

DO $$ BEGIN PERFORM tallymark.create_job('job'), tallymark.create_job('old'); END $$;
CREATE FUNCTION pg_temp.newest(payload jsonb, job text DEFAULT 'job') RETURNS jsonb LANGUAGE sql AS
  $$ SELECT tallymark.merge_progress($2, $1) -> 'newestTimestamp' $$;
SELECT is(pg_temp.newest(c.payload), c.newest, c.promise)
FROM (VALUES
  (1, '{"status": "started", "timestamp": "2025-01-06T10:00:00Z"}'::jsonb, '"2025-01-06T10:00:00.000000Z"'::jsonb,
    'the first start is the newest itself, in UTC and with microseconds'),
  (2, '{"status": "processing", "timestamp": "2025-01-06T12:30:00.123456+02:00"}', NULL, 'other updates hear nothing'),
  (3, '{"status": "Started", "timestamp": "2025-01-06T10:10:00Z"}', '"2025-01-06T10:30:00.123456Z"',
    'a start that is late hears the time of what is newer than it'),
  (4, '{"status": "completed", "timestamp": "2025-01-06T10:40:00.5Z"}', NULL, 'neither do ends'),
  (5, '{"status": "started", "timestamp": "2025-01-06T10:10:01Z", "workerId": "w"}', '"2025-01-06T10:40:00.500000Z"',
    'the update may be another worker''s'),
  (6, '{"status": "started", "timestamp": "2025-06-06T23:59:59.999999-01:00"}', '"2025-06-07T00:59:59.999999Z"',
    'no microsecond is lost, in summer, on another day')) AS c (number, payload, newest, promise)
ORDER BY c.number;
SELECT is(pg_temp.newest('{"status": "started", "timestamp": "0001-01-01T00:00:00Z"}', 'old'),
  '"0001-01-01T00:00:00.000000Z"', 'a year has four digits');
CREATE TEMPORARY TABLE ack AS
SELECT tallymark.merge_progress('job', '{"status": "started", "timestamp": "2099-01-01T00:00:00Z"}') AS it;
SELECT cmp_ok((it ->> 'newestTimestamp')::timestamptz, '<=', clock_timestamp(),
  'a clock that is ahead gives a time that is not')
FROM ack;
SELECT is((a.it ->> 'newestTimestamp')::timestamptz, j.newest_at,
  'it is the time at which the update counts, to the microsecond')
FROM ack AS a, tallymark.job AS j WHERE j.id = 'job';
CREATE TEMPORARY TABLE next AS
SELECT tallymark.merge_progress('job', jsonb_build_object('stage', 'next', 'timestamp', tallymark.iso_timestamp(
  (it ->> 'newestTimestamp')::timestamptz + interval '1 microsecond'))) AS it
FROM ack;
SELECT is(it -> 'warnings', '[]', 'one microsecond later is not ahead') FROM next;
SELECT is(progress ->> 'stage', 'next', 'and newer') FROM tallymark.job WHERE id = 'job';
SELECT is(it ? 'resume' OR it ? 'newestTimestamp' OR it ? 'worker', false,
  'the answer to an update without a status has none of these')
FROM next;

SELECT * FROM finish();
ROLLBACK;
