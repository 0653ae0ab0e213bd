-- A state names at most 1,000 types and 1,000 fields of the crawler's own: the shortest, of the same length the first by
-- their bytes. Increments of further types are summed under '', in whatever order all came; the ledger has all names.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(20);

-- 1,200 types in updates of 200, and as many fields, given by their numbers; then some that are shorter.
CREATE FUNCTION pg_temp.many(first integer) RETURNS jsonb LANGUAGE sql RETURN (
  SELECT jsonb_build_object('updateId', 'many ' || first, 'timestamp', '2025-01-06T10:00:00Z',
    'itemsByType', jsonb_object_agg('type ' || n, 1)) || jsonb_object_agg('field ' || n, n)
  FROM generate_series(first, first + 199) AS n);
CREATE TEMPORARY TABLE update AS
SELECT n AS number, pg_temp.many(n * 1000) AS payload FROM generate_series(1, 6) AS n
UNION ALL
SELECT 7, '{"updateId": "short", "timestamp": "2025-01-06T10:00:00Z", "itemsByType": {"a": 5, "é": 6}, "short": 1}'
UNION ALL
SELECT 8, '{"updateId": "totals", "timestamp": "2025-01-06T10:00:00Z", "counting": "cumulative", "workerId": "w",
  "itemsByType": {"a": 7, "type 1000": 3, "type 6199": 8, "a type with a long name": 9}}';
DO $$
DECLARE
  v_update record;
BEGIN
  PERFORM tallymark.create_job(id) FROM unnest('{up,down,batch}'::text[]) AS id;
  FOR v_update IN SELECT * FROM update ORDER BY number LOOP
    PERFORM tallymark.merge_progress('up', v_update.payload);
  END LOOP;
  FOR v_update IN SELECT * FROM update ORDER BY number DESC LOOP
    PERFORM tallymark.merge_progress('down', v_update.payload);
    PERFORM tallymark.merge_progress('down', v_update.payload);
  END LOOP;
  PERFORM tallymark.merge_progress_batch((
    SELECT jsonb_agg(payload || '{"taskId": "batch"}' ORDER BY number % 3, number) FROM update));
END
$$;

CREATE TEMPORARY VIEW state AS
SELECT j.id, j.progress, j.progress -> 'itemsByType' AS items, j.facets, j.workers, j.clocks, j.newest_fields
FROM tallymark.job AS j WHERE j.id IN ('up', 'down', 'batch');
SELECT is((SELECT count(*) FROM jsonb_object_keys(items)), 1001::bigint, '1,000 types and what is further')
FROM state WHERE id = 'up';
SELECT is(items - (SELECT array_agg('type ' || n) FROM generate_series(1000, 6199) AS n), '{"": 202, "a": 12, "é": 6}',
  'the sum of the increments of the 202 types that are further') FROM state WHERE id = 'up';
SELECT is(items -> 'type 1000', '4', 'a running total of a type that stayed') FROM state WHERE id = 'up';
SELECT is(items ? 'type 5197', true, 'the last type that stayed') FROM state WHERE id = 'up';
SELECT is(items ? 'type 5198', false, 'the first that did not') FROM state WHERE id = 'up';
SELECT is(workers, '{"w": {"itemsByType": {"a": 7, "type 1000": 3}}}', 'a worker names the same types')
FROM state WHERE id = 'up';
SELECT is(jsonb_array_length(facets -> 'itemTypes'), 1000, 'jobs are searched by types that have a name')
FROM state WHERE id = 'up';
SELECT is((SELECT count(*) FROM jsonb_object_keys(progress) AS f (name) WHERE name LIKE 'field %' OR name = 'short'),
  1000::bigint, '1,000 fields') FROM state WHERE id = 'up';
SELECT is(progress ->> 'short', '1', 'a short name stays, whenever it came') FROM state WHERE id = 'up';
SELECT ok(cardinality(newest_fields) <= 200 AND NOT clocks ? 'field 6199', 'fields that went leave no clocks')
FROM state WHERE id = 'up';
SELECT is(tallymark.processed_items(progress), 1200 + 11 + 10::numeric, 'all increments are in the sum')
FROM state WHERE id = 'up';
SELECT is_empty($$SELECT id FROM state WHERE (progress, facets, workers, clocks, newest_fields) IS DISTINCT FROM (
  SELECT (s.progress, s.facets, s.workers, s.clocks, s.newest_fields) FROM state AS s WHERE s.id = 'up')$$,
  'neither the order, nor repeats, nor a batch make a difference');
SELECT is(tallymark.verify_job(id), true, id || ' is the fold of its ledger') FROM state ORDER BY id;
SELECT is(e.payload #> '{itemsByType,type 6199}', '1', 'the ledger has all names')
FROM tallymark.job_event AS e WHERE e.job_id = 'up' AND e.seq = 6;

DO $$ BEGIN PERFORM tallymark.prune_job('down', 'infinity', 3, 100); END $$;
SELECT is(tallymark.verify_job('down'), true, 'also where a baseline has the names');

-- All counts keep the same types: the books of a type have all of it or nothing.
DO $$
BEGIN
  PERFORM tallymark.create_job('books');
  PERFORM tallymark.merge_progress('books', jsonb_build_object('updateId', m.name || n, 'timestamp', '2025-01-06T10:00:00Z',
    m.name, (SELECT jsonb_object_agg('type ' || 1000 + n * 200 + t, 1) FROM generate_series(0, 199) AS t)))
  FROM unnest('{itemsByType,foundByType,failedByType,totalsByType}'::text[]) WITH ORDINALITY AS m (name, place),
    generate_series(0, 1) AS g, LATERAL (SELECT m.place::integer - 1 + g AS n) AS u
  ORDER BY n DESC;
  PERFORM tallymark.merge_progress('books', '{"updateId": "w", "timestamp": "2025-01-06T10:00:00Z", "counting": "cumulative",
    "foundByType": {"type 1999": 5, "type 1200": 2}, "totalsByType": {"a type with a long name": 1}}');
  PERFORM tallymark.merge_progress('books', '{"updateId": "short", "timestamp": "2025-01-06T10:00:00Z",
    "skippedByType": {"a": 1}}');
END
$$;
SELECT is(tallymark.progress_books(j.progress) -> 'type 1999', NULL, 'a type that went is in none of them')
FROM tallymark.job AS j WHERE j.id = 'books';
SELECT is((SELECT count(*) FROM jsonb_object_keys(tallymark.progress_books(j.progress)) AS b (type) WHERE b.type <> ''), 1000::bigint,
  '1,000 types') FROM tallymark.job AS j WHERE j.id = 'books';
SELECT is(tallymark.verify_job('books'), true, 'and that is the fold of the ledger');

SELECT * FROM finish();
ROLLBACK;
