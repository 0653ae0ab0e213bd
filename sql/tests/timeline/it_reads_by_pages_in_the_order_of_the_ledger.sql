-- The timeline is read in the order of its numbers, a page at a time, and by kind of event.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(15);

DO $$
BEGIN
  PERFORM tallymark.create_job('job');
  PERFORM tallymark.create_job('other');
  PERFORM tallymark.merge_progress('job', jsonb_build_object('processedItems', n, 'error', CASE WHEN n % 100 = 0
    THEN 'e' END))
  FROM generate_series(1, 1010) AS n;
  PERFORM tallymark.merge_progress('other', '{"status": "paused", "timestamp": "2025-01-06T19:15:30.000Z"}');
END
$$;
CREATE FUNCTION pg_temp.numbers(text, bigint, integer, text DEFAULT NULL) RETURNS text LANGUAGE sql
RETURN (SELECT min(t.seq) || '-' || max(t.seq) || ': ' || count(*) FROM tallymark.timeline($1, $2, $3, $4) AS t);

SELECT is(pg_temp.numbers('job', c.after, c.most, c.kind), c.numbers, c.words)
FROM (VALUES
  (1, 0::bigint, 10, NULL, '1-10: 10', 'the first page'), (2, 10, 10, NULL, '11-20: 10', 'the next goes on behind it'),
  (3, 1005, 10, NULL, '1006-1010: 5', 'the last is what is left'), (4, 1010, 10, NULL, NULL, 'behind it there is none'),
  (5, 0, 5000, NULL, '1-1000: 1000', 'a page has at most 1000'), (6, 0, 0, NULL, NULL, 'none when none are asked for'),
  (7, 0, -1, NULL, NULL, 'nor for fewer than none'), (8, NULL, NULL, NULL, '1-100: 100', 'null is as if left out'),
  (9, -5, 3, NULL, '1-3: 3', 'numbers begin with 1'), (10, 0, 5, 'error', '100-500: 5', 'one kind of event'),
  (11, 500, 5, 'error', '600-1000: 5', 'the next of that kind'), (12, 0, 5, 'completion', NULL,
    'a kind there is none of'))
  AS c (number, after, most, kind, numbers, words)
ORDER BY c.number;
SELECT is(count(*), 100::bigint, 'a page has 100 when nothing is asked for') FROM tallymark.timeline('job');
SELECT is(to_jsonb(t) - 'recorded_at', '{"seq": 1, "timestamp": "2025-01-06T19:15:30+00:00", "event": "progress_update",
  "details": {"status": "paused"}}'::jsonb || jsonb_build_object('timestamp', t."timestamp"),
  'an event has seq, timestamp, event, details and recorded_at') FROM tallymark.timeline('other') AS t;
SELECT ok(recorded_at BETWEEN now() AND clock_timestamp() AND "timestamp" = '2025-01-06T19:15:30Z',
  'when it happened is the crawler''s time, when it was recorded the server''s') FROM tallymark.timeline('other');

SELECT * FROM finish();
ROLLBACK;
