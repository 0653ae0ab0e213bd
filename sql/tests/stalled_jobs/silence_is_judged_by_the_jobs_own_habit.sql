-- A job that reports every second is stalled sooner than one that reports every hour. A job that is not running is not
-- stalled.
BEGIN;
SET LOCAL search_path = tap, public;
-- As the texts below are written.
SET LOCAL DateStyle = 'ISO';
SET LOCAL IntervalStyle = 'postgres';
SELECT plan(7);

INSERT INTO tallymark.job (id, status, updated_at)
SELECT 'S ' || s.id, s.status, '2025-01-06 10:00Z' FROM (VALUES ('second', 'running'), ('hour', 'running'), ('new',
  'running'),
  ('paused', 'paused'), ('finished', 'finished')) AS s (id, status);
INSERT INTO tallymark.job_event (job_id, seq, event, occurred_at, recorded_at, payload)
SELECT 'S ' || j.id, n, 'x', '2025-01-06', timestamptz '2025-01-06 10:00Z' - (50 - n) * j.gap, '{}'
FROM (VALUES ('second', interval '1 s', 1), ('hour', interval '1 h', 1), ('new', interval '1 h', 50), ('paused',
  interval '1 s', 1),
  ('finished', interval '1 s', 1)) AS j (id, gap, first), generate_series(j.first, 50) AS n;
CREATE FUNCTION pg_temp.stalled(after interval) RETURNS text LANGUAGE sql RETURN (
  SELECT string_agg(s.id || ' ' || s.allowed, ', ' ORDER BY s.id) FROM tallymark.stalled_jobs(id_prefix => 'S ',
    as_of => timestamptz '2025-01-06 10:00Z' + after) AS s);

SELECT is(pg_temp.stalled('30 s'), NULL, 'after a short silence no job is stalled');
SELECT is(pg_temp.stalled('2 min'), 'S second 00:01:00', 'the frequent job is, after least_silence');
SELECT is(pg_temp.stalled('16 min'), 'S new 00:15:00, S second 00:01:00', 'a job without a habit is, after 15 minutes');
SELECT is(pg_temp.stalled('2 h'), 'S new 00:15:00, S second 00:01:00', 'the slow job is not yet');
SELECT is(pg_temp.stalled('4 h'), 'S hour 03:00:00, S new 00:15:00, S second 00:01:00',
  'but is after three of its gaps');
SELECT is((SELECT count(*) FROM tallymark.stalled_jobs(id_prefix => 'S ', max_jobs => 2)), 2::bigint,
  'as many as asked for');
SELECT ok(tallymark.stalled_page('S n') #> '{jobs,0}' @> '{"id": "S new", "lastUpdateAt": "2025-01-06T10:00:00.000Z",
  "allowedSeconds": 900}', 'as JSON');

SELECT * FROM finish();
ROLLBACK;
