-- A job that waits is not stalled before its wait ends. For the others it shows which are stuck, silent or unreported.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(7);

INSERT INTO tallymark.job (id, status, updated_at, created_at, alive_at, progress, newest_fields)
SELECT 'T ' || s.id, s.status, s.updated_at, s.updated_at, s.alive_at, s.progress::jsonb,
  ARRAY(SELECT jsonb_object_keys(s.progress::jsonb))
FROM (VALUES ('stuck', 'running', timestamptz '2025-01-06 09:00Z', timestamptz '2025-01-06 09:59:30Z', '{}'),
  ('silent', 'running', '2025-01-06 09:10Z', NULL, '{}'),
  ('waits', 'waiting', '2025-01-06 09:00Z', NULL, '{"waitUntil": "2025-01-06T10:30:00Z", "reason": "rate limit"}'),
  ('late', 'waiting', '2025-01-06 09:20Z', NULL, '{"waitUntil": "2025-01-06T09:30:00Z", "reason": "rate limit"}'),
  ('new', 'queued', '2025-01-06 09:30Z', NULL, '{}'), ('old', 'queued', '2025-01-06 08:00Z', NULL, '{}'),
  ('paused', 'paused', '2025-01-06 08:00Z', NULL, '{}')) AS s (id, status, updated_at, alive_at, progress);
CREATE FUNCTION pg_temp.stalled(never interval, jobs integer DEFAULT NULL) RETURNS text LANGUAGE sql RETURN (
  SELECT string_agg(substr(s.id, 3) || ' ' || s.state, ', ' ORDER BY s.place) FROM tallymark.stalled_jobs(id_prefix => 'T ',
    as_of => '2025-01-06 10:00Z', never_reported => stalled.never, max_jobs => stalled.jobs)
    WITH ORDINALITY AS s (id, last_update, silent, allowed, long_gap, state, since, alive_at, wait_until, reason, place));

SELECT is(pg_temp.stalled(NULL), 'stuck stuck, silent silent, late silent, old never_reported', 'each with its state');
SELECT is(pg_temp.stalled('10 min'),
  'stuck stuck, silent silent, late silent, new never_reported, old never_reported', 'the first update is due sooner');
SELECT is(pg_temp.stalled('0'), 'stuck stuck, silent silent, late silent', 'or never');
SELECT is(pg_temp.stalled('10 min', 3), 'stuck stuck, silent silent, late silent',
  'jobs that were never reported on crowd out no other');
SELECT is(pg_temp.stalled('10 min', 1), 'stuck stuck', 'as many as asked for');
SELECT row_eq($$ SELECT s.since, s.wait_until, s.reason FROM tallymark.stalled_jobs(id_prefix => 'T late',
    as_of => '2025-01-06 10:00Z') AS s $$,
  row(timestamptz '2025-01-06 09:30Z', timestamptz '2025-01-06 09:30Z', 'rate limit'::text),
  'the silence counts from the end of the wait');
SELECT is(tallymark.stalled_page('T late') #> '{jobs,0}' -> 'waitUntil', '"2025-01-06T09:30:00.000Z"', 'as JSON');

SELECT * FROM finish();
ROLLBACK;
