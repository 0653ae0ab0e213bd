-- The rate is items a second over a recent window: processedItems by worker, or else the types. Late, lower and
-- repeated totals count nothing, and neither does what came before the window.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(23);

CREATE FUNCTION pg_temp.report(id text, seconds numeric, payload jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM tallymark.create_job(id);
  PERFORM tallymark.merge_progress(id, payload || jsonb_build_object('updateId', seconds || payload::text));
  UPDATE tallymark.job_event SET recorded_at = timestamptz '2025-01-06 10:00Z' + seconds * interval '1 second'
  WHERE job_id = id AND seq = (SELECT j.last_seq FROM tallymark.job AS j WHERE j.id = report.id);
END
$$;
CREATE FUNCTION pg_temp.rate(id text, seconds numeric, recent interval DEFAULT '100 s') RETURNS jsonb LANGUAGE sql
RETURN tallymark.job_rate(id, recent, timestamptz '2025-01-06 10:00Z' + seconds * interval '1 second');

DO $$
BEGIN
  -- Ten items each ten seconds.
  PERFORM pg_temp.report('even', n * 10, jsonb_build_object('processedItems', n * 10, 'totalItems', 1000))
  FROM generate_series(0, 50) AS n;
  -- Two workers: one sends duplicates, one late updates.
  PERFORM pg_temp.report('two', n * 10, jsonb_build_object('workerId', 'w' || n % 2, 'processedItems', n * 10))
  FROM generate_series(0, 20) AS n;
  PERFORM pg_temp.report('two', 200, '{"workerId": "w1", "processedItems": 50}');
  PERFORM pg_temp.report('types', n * 10, '{"itemsByType": {"a": 3, "b": 2}}') FROM generate_series(0, 20) AS n;
  PERFORM pg_temp.report('totals', n * 10, jsonb_build_object('counting', 'cumulative', 'itemsByType',
    jsonb_build_object('a', n * 3, 'b', n * 2))) FROM generate_series(0, 20) AS n;
  -- Each update has a key that is new and one that came before.
  PERFORM pg_temp.report(j.id, n * 10, jsonb_build_object('itemKeys', jsonb_build_object('a',
    jsonb_build_array(n::text, (n + 1)::text))) || j.beside)
  FROM generate_series(0, 20) AS n, (VALUES ('keys', '{}'::jsonb), ('keys and numbers', '{"itemsByType": {"b": 4}}')) AS j (id, beside);
  PERFORM pg_temp.report('keys and totals', n * 10, jsonb_build_object('processedItems', n * 10,
    'itemKeys', jsonb_build_object('a', jsonb_build_array(n::text)))) FROM generate_series(0, 20) AS n;
  PERFORM pg_temp.report('bursts', n * 10, jsonb_build_object('processedItems', n / 5 * 50)) FROM generate_series(0,
    20) AS n;
  PERFORM pg_temp.report('young', n * 10, jsonb_build_object('processedItems', 1000 + n * 10)) FROM generate_series(0,
    2) AS n;
  PERFORM pg_temp.report('once', 0, '{"processedItems": 10}');
  PERFORM pg_temp.report('ended', n * 10, jsonb_build_object('processedItems', n * 10, 'status',
    CASE n WHEN 20 THEN 'completed' ELSE 'processing' END)) FROM generate_series(0, 20) AS n;
  -- Two items are done each ten seconds, one fails and one is skipped; processedItems counts something else.
  PERFORM pg_temp.report('books', n * 10, jsonb_build_object('itemsByType', '{"a": 2}'::jsonb, 'failedByType', '{"a": 1}'::jsonb,
    'skippedByType', '{"a": 1}'::jsonb, 'totalsByType', '{"a": 124}'::jsonb) || beside.more)
  FROM generate_series(0, 20) AS n, (VALUES ('{"processedItems": 7}'::jsonb)) AS beside (more);
  PERFORM tallymark.create_job('queued');
END
$$;

SELECT is(pg_temp.rate('even', 500) -> 'itemsPerSecond', '1', 'one item a second');
SELECT is(pg_temp.rate('even', 500, '10 s') -> 'itemsPerSecond', '1', 'over a short window');
SELECT is(pg_temp.rate('even', 500, '1 day') -> 'itemsPerSecond', '1', 'over a window longer than the job');
SELECT is(pg_temp.rate('even', 500) -> 'itemsLeft', '500', 'this many items are left');
SELECT is(pg_temp.rate('even', 500) -> 'eta', '"2025-01-06T10:16:40.000Z"', 'and will be done then');
SELECT is(pg_temp.rate('even', 500) -> 'low', pg_temp.rate('even', 500) -> 'high',
  'an even rate has a narrow interval');
SELECT is(pg_temp.rate('two', 200) -> 'itemsPerSecond', '2', 'workers add up; late reports count nothing');
SELECT is(pg_temp.rate('types', 200) -> 'itemsPerSecond', '0.5', 'increments by type');
SELECT is(pg_temp.rate('totals', 200) -> 'itemsPerSecond', '0.5', 'running totals by type');
SELECT is(pg_temp.rate('keys', 200) -> 'itemsPerSecond', '0.1', 'keys of items that were new');
SELECT is(pg_temp.rate('keys and numbers', 200) -> 'itemsPerSecond', '0.5', 'beside increments');
SELECT is(pg_temp.rate('keys and totals', 200) -> 'itemsPerSecond', '1', 'processedItems stand for all items');
SELECT ok((pg_temp.rate('bursts', 200) -> 'low')::numeric < 0.9 AND (pg_temp.rate('bursts',
  200) -> 'high')::numeric > 1.1,
  'bursts make the interval wide');
SELECT is(pg_temp.rate('young', 20) -> 'itemsPerSecond', '1',
  'the items of the first event were done before the window');
SELECT is(pg_temp.rate('even', 900) -> 'itemsPerSecond', '0', 'a silent job has the rate 0');
SELECT is(pg_temp.rate('even', 900) ->> 'eta', NULL, 'and no ETA');
SELECT is(pg_temp.rate('books', 200) -> 'itemsLeft', '40', 'what is left goes by the books');
SELECT is(pg_temp.rate('books', 200) -> 'itemsPerSecond', '0.4', 'and so does the rate: done, failed or skipped');
SELECT is(pg_temp.rate('books', 200) -> 'etaSeconds', '100', 'so the time left fits both');
SELECT is(pg_temp.rate(c.id, 250) ->> 'itemsPerSecond', NULL, c.id || ': there is no rate')
FROM unnest('{ended,queued}'::text[]) AS c (id);
SELECT throws_ok($$ SELECT tallymark.job_rate('nobody') $$, 'TK404', NULL, 'an unknown job is refused');
SELECT throws_ok($$ SELECT tallymark.job_rate('even', '0 s') $$, 'TK400', NULL, 'and so is an empty window');

SELECT * FROM finish();
ROLLBACK;
