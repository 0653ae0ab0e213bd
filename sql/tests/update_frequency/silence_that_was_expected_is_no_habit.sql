-- The silence of a job that waits or pauses may be long. It says nothing about how often the job reports while it works.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(4);

INSERT INTO tallymark.job (id, status) VALUES ('job', 'running'), ('waits', 'waiting');
INSERT INTO tallymark.job_event (job_id, seq, event, occurred_at, recorded_at, payload)
SELECT 'job', u.seq, 'x', '2025-01-06', timestamptz '2025-01-06 10:00Z' + u.minutes * interval '1 min', u.payload::jsonb
FROM (VALUES (1, 0, '{"status": "started"}'), (2, 1, '{"status": "processing"}'), (3, 2, '{"status": "Waiting"}'),
  (4, 62, '{"status": "waiting"}'), (5, 122, '{}'), (6, 123, '{"status": "paused"}'), (7, 623, '{"status": "started"}'),
  (8, 624, '{"status": "processing"}')) AS u (seq, minutes, payload);
INSERT INTO tallymark.job_event (job_id, seq, event, occurred_at, payload)
SELECT 'waits', n, 'x', '2025-01-06', '{"status": "waiting"}' FROM generate_series(1, 3) AS n;

SELECT is(f.long_gap, interval '1 min', 'the gaps after a wait and a pause do not count')
FROM tallymark.update_frequency('job') AS f;
SELECT is(f.updates, 8::bigint, 'the updates do') FROM tallymark.update_frequency('job') AS f;
SELECT is(f.long_gap, NULL, 'a job that only waits has no habit') FROM tallymark.update_frequency('waits') AS f;
SELECT is(f.updates, 3::bigint, 'though it has updates') FROM tallymark.update_frequency('waits') AS f;

SELECT * FROM finish();
ROLLBACK;
