-- Where the law does not hold, updates stay separate: other statuses, other fields, areas, own events, running totals,
-- ties and late updates.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(22);

-- The number of runs that two updates of one job give, the second one second later.
CREATE FUNCTION pg_temp.runs(one jsonb, other jsonb, seconds integer DEFAULT 1, job text DEFAULT 'job') RETURNS bigint
LANGUAGE sql AS $$
  SELECT count(*) FROM tallymark.combine_updates(ARRAY[
    ROW(1, 'job', '2025-01-06T10:00:00Z'::timestamptz, '=a', '{"status": "processing"}'::jsonb || $1, '[]', NULL, 1),
    ROW(2, $4, '2025-01-06T10:00:00Z'::timestamptz + $3 * interval '1s', '=b', '{"status": "processing"}'::jsonb || $2,
      '[]', NULL, 2)
    ]::tallymark.batch_update[], '{}')
$$;
SELECT is(pg_temp.runs(c.one, c.other), 1::bigint, 'combined: ' || c.one::text || ' ' || c.other::text)
FROM (VALUES (1, '{}'::jsonb, '{}'::jsonb), (2, '{"processedItems": 5}', '{"processedItems": 4}'),
  (3, '{"itemsByType": {"a": 1}}', '{"itemsByType": {}}'), (4, '{"message": "a"}', '{"message": "b"}'),
  (5, '{"timestamp": "a", "updateId": "a"}', '{"timestamp": "b"}'), (6, '{"stage": "a", "own": 1.0}',
    '{"stage": "a", "own": 1}'),
  (7, '{"error": "a", "workerId": "w"}', '{"error": "a", "workerId": "w"}')) AS c (number, one, other) ORDER BY
    c.number;
SELECT is(pg_temp.runs(c.one, c.other), 2::bigint, 'apart: ' || c.one::text || ' ' || c.other::text)
FROM (VALUES (1, '{"status": "started"}'::jsonb, '{"status": "started"}'::jsonb), (2, '{"processedItems": 5}', '{}'),
  (3, '{}', '{"message": "a"}'), (4, '{"stage": "a"}', '{"stage": "b"}'), (5, '{"workerId": "a"}', '{"workerId": "b"}'),
  (6, '{"counting": "increment"}', '{"counting": "increment"}'), (7, '{"groupCount": 1}', '{"groupCount": 1}'),
  (8, '{"areas": []}', '{"areas": []}'), (9, '{"timeline": []}', '{"timeline": []}'), (10, '{"totalItems": 1}',
    '{"totalItems": 2}'),
  (11, '{"status": "Processing"}', '{"status": "Processing"}'), (12, '{"own": [1]}', '{"own": [2]}')) AS c (number, one,
    other)
ORDER BY c.number;
SELECT is(pg_temp.runs('{}', '{}', 0), 2::bigint, 'apart: a tie');
SELECT is(pg_temp.runs('{}', '{}', -1), 2::bigint, 'apart: a late one');
SELECT is(pg_temp.runs('{}', '{}', 1, 'other'), 2::bigint, 'apart: other jobs');

SELECT * FROM finish();
ROLLBACK;
