-- Four things look alike from outside: an operator must know which one it is.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(17);
\ir ../helpers.psql

INSERT INTO tallymark.job (id, status, updated_at, created_at, alive_at, progress, newest_fields)
SELECT 'L ' || s.id, s.status, '2025-01-06 10:00Z', '2025-01-06 10:00Z', s.alive_at, s.progress::jsonb,
  ARRAY(SELECT jsonb_object_keys(s.progress::jsonb))
FROM (VALUES ('job', 'running', NULL::timestamptz, '{}'), ('wait', 'waiting', NULL, '{"waitUntil": "2025-01-06T12:00:00Z"}'),
  ('open', 'waiting', NULL, '{"reason": "maintenance"}'), ('alive', 'running', '2025-01-06 10:59Z', '{}'),
  ('over', 'waiting', '2025-01-06 12:29Z', '{"waitUntil": "2025-01-06T12:00:00Z"}'),
  ('odd', 'waiting', NULL, '{"waitUntil": "soon"}'),
  ('new', 'queued', NULL, '{}'), ('paused', 'paused', NULL, '{}'), ('ended', 'failed', NULL, '{}'),
  ('renewing', 'waiting_credential_renewal', NULL, '{}')) AS s (id, status, alive_at, progress);
INSERT INTO tallymark.job_event (job_id, seq, event, occurred_at, recorded_at, payload)
SELECT j.id, n, 'x', '2025-01-06', timestamptz '2025-01-06 10:00Z' - (10 - n) * interval '1 min', '{}'
FROM tallymark.job AS j, generate_series(1, 10) AS n WHERE j.id LIKE 'L %' AND j.status <> 'queued';
CREATE FUNCTION pg_temp.state(id text, at timestamptz) RETURNS text LANGUAGE sql RETURN (
  SELECT s.state FROM tallymark.job_silence(pg_temp.row_of('L ' || state.id), at) AS s);

SELECT is(pg_temp.state('job', '2025-01-06 10:02Z'), 'working', 'updates come as usual');
SELECT is(pg_temp.state('job', '2025-01-06 10:04Z'), 'silent', 'neither updates nor signs of life come');
SELECT is(pg_temp.state('alive', '2025-01-06 11:00Z'), 'stuck', 'signs of life come, and updates do not');
SELECT is(pg_temp.state('alive', '2025-01-06 11:02Z'), 'silent', 'the signs of life have ended, too');
SELECT is(pg_temp.state('wait', '2025-01-06 10:30Z'), 'waiting', 'it said that it waits');
SELECT is(pg_temp.state('wait', '2025-01-06 12:02Z'), 'waiting', 'the end of its wait has not passed by the usual allowance');
SELECT is(pg_temp.state('wait', '2025-01-06 12:04Z'), 'silent', 'it has');
SELECT is(pg_temp.state('over', '2025-01-06 12:30Z'), 'stuck', 'a job that does not go on after its wait may be stuck');
SELECT is(pg_temp.state('open', '2025-01-06 10:02Z'), 'waiting', 'a wait without an end');
SELECT is(pg_temp.state('open', '2025-01-06 10:04Z'), 'silent', 'has the usual allowance');
SELECT is(pg_temp.state('odd', '2025-01-06 10:02Z'), 'waiting', 'what is no time is no end');
SELECT is(pg_temp.state('new', '2025-01-06 10:59Z'), 'queued', 'the first update is due within an hour');
SELECT is(pg_temp.state('new', '2025-01-06 11:01Z'), 'never_reported', 'it did not come');
SELECT is((SELECT s.state FROM tallymark.job_silence(pg_temp.row_of('L new'), '2035-01-06', never_reported => '0') AS s),
  'queued', 'with 0 it never counts as that');
SELECT is(pg_temp.state(j.id, '2035-01-06'), NULL, j.id || ' is never stalled')
FROM (VALUES ('paused'), ('ended'), ('renewing')) AS j (id);

SELECT * FROM finish();
ROLLBACK;
