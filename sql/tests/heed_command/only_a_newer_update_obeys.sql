-- An update obeys a command only if it is newer, by the crawlers' own clocks, than all there was when the command was
-- given: a crawler that paused before did not know of it.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(9);
\ir ../helpers.psql

DO $$
BEGIN
  PERFORM tallymark.create_job('job'), tallymark.create_job('new');
  PERFORM tallymark.merge_progress('job', '{"updateId": "a", "timestamp": "2025-01-06T10:00:00.123456Z"}');
  PERFORM tallymark.request_command('job', 'pause'), tallymark.request_command('new', 'pause');
END
$$;
CREATE FUNCTION pg_temp.heeded(job text, at timestamptz, payload jsonb) RETURNS text LANGUAGE sql AS $$
  SELECT coalesce(h.requested_command, 'nothing') || ' ' || coalesce(h.command_seq::text, '-')
  FROM tallymark.heed_command(pg_temp.row_of($1), $2, $3) AS h
$$;
SELECT is(pg_temp.heeded('job', c.at::timestamptz, c.payload), c.left_over, c.why)
FROM (VALUES
  (1, '2025-01-06T10:00:00.123457Z', '{"status": "paused"}'::jsonb, 'nothing -', 'a microsecond newer obeys'),
  (2, '2025-01-06T10:00:00.123456Z', '{"status": "paused"}', 'pause 2', 'of the same instant does not'),
  (3, '2024-01-06T10:00:00Z', '{"status": "paused"}', 'pause 2', 'an older one does not'),
  (4, '2025-01-06T10:01:00Z', '{"status": "processing"}', 'pause 2', 'another status does not'),
  (5, '2025-01-06T10:01:00Z', '{}', 'pause 2', 'no status is that of progress'),
  (6, '2025-01-06T10:01:00Z', '{"status": "COMPLETED"}', 'nothing -', 'letter case is all the same')) AS c (number, at,
    payload, left_over, why)
ORDER BY c.number;
SELECT is(pg_temp.heeded('new', '1990-01-01Z', '{"status": "paused"}'), 'nothing -',
  'where there was no update, each update is newer');
SELECT is(pg_temp.heeded('new', '1990-01-01Z', '{"status": "started"}'), 'pause 1', 'but its status must fit');
UPDATE tallymark.job SET requested_command = 'resume' WHERE id = 'new';
SELECT is(pg_temp.heeded('new', '1990-01-01Z', '{}'), 'nothing -', 'progress without a status resumes');

SELECT * FROM finish();
ROLLBACK;
