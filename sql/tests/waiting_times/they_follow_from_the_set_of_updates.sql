-- Time waited is added up by reason, from the ledger, and whatever the order of arrival.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(10);

CREATE TEMPORARY TABLE update (number integer, payload jsonb) ON COMMIT DROP;
INSERT INTO update VALUES
  (1, '{"status": "started", "timestamp": "2025-01-06T10:00:00Z"}'),
  (2, '{"status": "waiting", "timestamp": "2025-01-06T10:01:00Z", "reason": "rate limit", "waitUntil": "2025-01-06T10:02Z"}'),
  (3, '{"status": "waiting", "timestamp": "2025-01-06T10:02:00Z", "reason": "maintenance"}'),
  (4, '{"status": "processing", "timestamp": "2025-01-06T10:05:00Z", "workerId": "b"}'),
  (5, '{"status": "Waiting", "timestamp": "2025-01-06T10:10:00Z", "reason": "rate limit"}'),
  (6, '{"status": "processing", "timestamp": "2025-01-06T10:10:30Z"}'),
  (7, '{"status": "waiting", "timestamp": "2025-01-06T10:20:00Z"}'),
  (8, '{"status": "completed", "timestamp": "2025-01-06T10:21:00Z"}');
DO $$
BEGIN
  PERFORM tallymark.create_job(j) FROM unnest('{forth,back,mixed,batch,none}'::text[]) AS j;
  PERFORM tallymark.merge_progress('forth', u.payload) FROM (SELECT * FROM update ORDER BY number) AS u;
  PERFORM tallymark.merge_progress('back', u.payload) FROM (SELECT * FROM update ORDER BY number DESC) AS u;
  PERFORM tallymark.merge_progress('mixed', u.payload) FROM (SELECT * FROM update ORDER BY number * 5 % 8, number) AS u;
  PERFORM tallymark.merge_progress('mixed', u.payload) FROM update AS u; -- they come once more
  PERFORM tallymark.merge_progress_batch((SELECT jsonb_agg(u.payload || '{"taskId": "batch"}') FROM update AS u));
END
$$;
CREATE FUNCTION pg_temp.waited(job text) RETURNS text LANGUAGE sql RETURN (
  SELECT string_agg(concat_ws(' ', coalesce(w.reason, '-'), w.waits, w.seconds, w.is_current), ', ' ORDER BY w.reason)
  FROM tallymark.waiting_times(waited.job, '2025-01-06 11:00Z') AS w);

SELECT is(pg_temp.waited(j), 'maintenance 1 180.000 f, rate limit 2 90.000 f, - 1 60.000 f', j)
FROM unnest('{forth,back,mixed,batch}'::text[]) AS j;
SELECT is(pg_temp.waited('none'), NULL, 'a job that never waited');
SELECT throws_ok($$ SELECT * FROM tallymark.waiting_times('no such job') $$, 'TK404', NULL, 'an unknown job is refused');
SELECT ok((SELECT bool_and(tallymark.verify_job(j)) FROM unnest('{forth,back,mixed,batch}'::text[]) AS j), 'all verify');
SELECT is((SELECT count(DISTINCT progress) FROM tallymark.job WHERE id = ANY ('{forth,back,mixed,batch}')), 1::bigint,
  'and have the same state');

DO $$ BEGIN PERFORM tallymark.merge_progress('none',
  '{"status": "waiting", "timestamp": "2025-01-06T10:59:00Z", "reason": "rate limit"}'); END $$;
SELECT is(pg_temp.waited('none'), 'rate limit 1 60.000 t', 'a wait that goes on counts up to now');
SELECT is(tallymark.job_liveness('none') #> '{waited,reasons,0}' ->> 'reason', 'rate limit', 'as JSON');

SELECT * FROM finish();
ROLLBACK;
