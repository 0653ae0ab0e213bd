-- The first event recorded at or after a moment is found, also where old events were pruned.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(7);

INSERT INTO tallymark.job_event (job_id, seq, event, occurred_at, recorded_at)
SELECT 'since', n, 'x', '2025-01-06', timestamptz '2025-01-06 00:00Z' + n * interval '1 minute'
FROM generate_series(40, 100) AS n;

SELECT is(tallymark.seq_since('since', c.at::timestamptz), c.seq::bigint, c.words)
FROM (VALUES (1, '2025-01-06 01:00Z', 60, 'at the moment itself'), (2, '2025-01-06 01:00:01Z', 61, 'a second later'),
  (3, '2025-01-06 01:40Z', 100, 'the last'), (4, '2025-01-07 00:00Z', 101, 'behind the last'),
  (5, '2025-01-06 00:40Z', 40, 'the first that is there'), (6, '2025-01-05 00:00Z', 40, 'before it'))
  AS c (number, at, seq, words)
ORDER BY c.number;
SELECT is(tallymark.seq_since('nobody', now()), 1::bigint, 'in an empty ledger');

SELECT * FROM finish();
ROLLBACK;
