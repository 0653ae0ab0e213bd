-- The frequency is that of the newest updates. A crawler's own events do not count.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(8);

DO $$
BEGIN
  PERFORM tallymark.create_job(id) FROM unnest('{even,silent,once}'::text[]) AS id;
END
$$;
INSERT INTO tallymark.job_event (job_id, seq, event, occurred_at, recorded_at, payload)
SELECT 'even', n, 'x', timestamptz '2025-01-06', timestamptz '2025-01-06 10:00Z' + n * interval '30 s',
  '{}'::jsonb FROM generate_series(1, 200) AS n
UNION ALL
SELECT 'even', 201, 'own', '2025-01-06', '2025-01-06 12:00Z', NULL
UNION ALL
SELECT 'once', 1, 'x', '2025-01-06', '2025-01-06 10:00Z', '{}';

SELECT is(f.updates, 100::bigint, 'the newest 100 count') FROM tallymark.update_frequency('even') AS f;
SELECT is(f.per_minute, 2.000, 'two a minute') FROM tallymark.update_frequency('even') AS f;
SELECT is(f.median_gap, interval '30 s', 'every 30 s') FROM tallymark.update_frequency('even') AS f;
SELECT is(f.last_update, '2025-01-06 11:40Z', 'the last of them') FROM tallymark.update_frequency('even') AS f;
SELECT is(f.updates, 5::bigint, 'as many as asked for') FROM tallymark.update_frequency('even', 5) AS f;
SELECT is(f::text, '(0,,,,)', 'nothing is known of a job without updates')
  FROM tallymark.update_frequency('silent') AS f;
SELECT is((f.updates, f.per_minute, f.median_gap)::text, '(1,,)', 'nor of a job with a single one')
  FROM tallymark.update_frequency('once') AS f;
SELECT throws_ok($$ SELECT * FROM tallymark.update_frequency('nobody') $$, 'TK404', NULL, 'an unknown job is refused');

SELECT * FROM finish();
ROLLBACK;
