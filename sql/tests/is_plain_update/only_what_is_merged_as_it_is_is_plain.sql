-- Most updates are merged as they come. An update that must be validated in full, cut or converted first is not plain:
-- treated as plain it would be merged wrongly, or although it is not valid.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(25);

CREATE FUNCTION pg_temp.plain(payload jsonb) RETURNS boolean LANGUAGE sql AS $$
  SELECT tallymark.is_plain_update('job', $1, $1::text, tallymark.parse_timestamp($1 ->> 'timestamp'))
$$;
SELECT is(pg_temp.plain('{"timestamp": "2025-01-06T10:00:00Z"}'::jsonb || c.more), true, 'plain: ' || c.more::text)
FROM (VALUES (1, '{}'::jsonb), (2, '{"taskId": "job", "status": "processing", "processedItems": 1, "totalItems": 2}'),
  (3, '{"status": "FAILED", "itemsByType": {"issues": 1}}'), (4, '{"status": "credential_expiry"}'),
  (5, '{"updateId": "u", "workerId": "w", "counting": "cumulative", "stage": "s", "own": [1, null]}'),
  (6, '{"message": ":null"}')) AS c (number, more) ORDER BY c.number;
SELECT isnt(pg_temp.plain('{"timestamp": "2025-01-06T10:00:00Z"}'::jsonb || c.more), true,
  'not plain: ' || left(c.more::text, 60))
FROM (VALUES (1, '{"taskId": "other"}'::jsonb), (2, '{"timestamp": null}'), (3, '{"timestamp": "yesterday"}'),
  (4, '{"status": null}'), (5, '{"status": "dancing"}'), (6, '{"processedItems": -1}'),
  (7, '{"processedItems": 3, "totalItems": 2}'), (8, '{"processed": 1}'), (9, '{"total": 1}'),
  (10, '{"groupCount": 1}'), (11, '{"projectCount": 1}'), (12, '{"errorTimestamp": "x"}'),
  (13, '{"lastAreasDiscovery": {}}'), (14, '{"areas": []}'), (15, '{"timeline": []}'),
  (16, jsonb_build_object('message', repeat('x', 1000)))) AS c (number, more) ORDER BY c.number;
SELECT isnt(tallymark.is_plain_update('job', '"timestamp"', '"timestamp"', NULL), true,
  'what is no object is not plain');
SELECT isnt(tallymark.is_plain_update('job', NULL, NULL, NULL), true, 'nor is nothing');
SELECT is(pg_temp.plain('{"timestamp": "2025-01-06T10:00:00Z", "status": "Completed"}'), false,
  'nor is the end, which clears doneBeyond');

SELECT * FROM finish();
ROLLBACK;
