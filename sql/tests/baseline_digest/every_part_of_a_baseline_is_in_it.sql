-- A change of any column changes the digest; the time zone of the session does not.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(2);

CREATE TEMPORARY VIEW digests AS
SELECT tallymark.baseline_digest(b.job_id, b.seq, b.updates, b.state, b.at) AS digest
FROM (VALUES ('a', 1::bigint, 1::bigint, '{}'::jsonb, '2025-01-06T19:15:30Z'::timestamptz),
  ('b', 1, 1, '{}', '2025-01-06T19:15:30Z'), ('a', 2, 1, '{}', '2025-01-06T19:15:30Z'),
  ('a', 1, 2, '{}', '2025-01-06T19:15:30Z'), ('a', 1, 1, '{"a": 1}', '2025-01-06T19:15:30Z'),
  ('a', 1, 1, '{}', '2025-01-06T19:15:30.000001Z'), ('a', 1, 1, '{}', NULL)) AS b (job_id, seq, updates, state, at);
SELECT is(count(DISTINCT digest), 7::bigint, 'seven baselines, seven digests') FROM digests;
CREATE TEMPORARY TABLE here AS SELECT digest FROM digests;
SET LOCAL TimeZone = 'Asia/Tokyo';
SELECT set_eq('SELECT digest FROM digests', 'SELECT digest FROM here', 'they are the same in another time zone');

SELECT * FROM finish();
ROLLBACK;
