-- The updates of many jobs are mixed, with ids of all kinds of letters: each job's updates are merged in their order,
-- and its ledger has no gaps.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(8);

CREATE TEMPORARY TABLE name AS SELECT row_number() OVER () - 1 AS number, n.id FROM unnest(ARRAY['b', 'B', 'a', 'ä',
  'Z', '_', '%', ' ', '''', '"',
  '\', '$1', 'é', U&'e\0301', '中', '😀', repeat('é', 255), E'a\tb', 'a b', '{}', '[]', 'null', '0', '00', '-1']) AS n
    (id);
DO $$ BEGIN PERFORM tallymark.create_job(n.id) FROM name AS n; END $$;
CREATE TEMPORARY TABLE batch AS SELECT jsonb_agg(jsonb_build_object('taskId', n.id, 'status', 'processing',
  'itemsByType', '{"a": 1}'::jsonb,
  'timestamp', tallymark.iso_timestamp('2025-01-06T10:00:00Z'::timestamptz + g.n * interval '1s'), 'lastProcessedId',
    g.n::text) ORDER BY g.n) AS updates
FROM generate_series(1, 1000) AS g (n) JOIN name AS n ON n.number = g.n % 25;
CREATE TEMPORARY TABLE answer AS SELECT a.*
FROM batch AS b, jsonb_array_elements(tallymark.merge_batch(b.updates, '{taskId,status,timestamp}', NULL)) WITH
  ORDINALITY AS a (value, number);
SELECT is(count(*), 1000::bigint, 'a result for each') FROM answer WHERE value ->> 'status' = 'received' AND value ->
  'duplicate' = 'false';
SELECT is(count(*), 1000::bigint, 'in its place: the job''s name and the number of the event') FROM answer AS a JOIN
  name AS n ON n.number = a.number % 25
WHERE a.value ->> 'message' = 'Progress update acknowledged for task ' || n.id AND a.value -> 'seq' = to_jsonb((a.number
  + 24) / 25);
SELECT is(array_agg(DISTINCT j.progress -> 'itemsByType'), ARRAY['{"a": 40}'::jsonb], 'every count is in it')
FROM tallymark.job AS j JOIN name AS n ON n.id = j.id;
SELECT is(array_agg((j.progress ->> 'lastProcessedId')::integer ORDER BY (j.progress ->> 'lastProcessedId')::integer),
  ARRAY(SELECT generate_series(976, 1000)), 'each job has its last cursor')
FROM tallymark.job AS j JOIN name AS n ON n.id = j.id;
SELECT is(count(*), 1000::bigint, 'each event is that of its update') FROM tallymark.job_event AS e JOIN name AS n ON
  n.id = e.job_id
WHERE e.payload ->> 'taskId' = e.job_id AND (e.payload ->> 'lastProcessedId')::integer = (e.seq - 1) * 25 + CASE
  n.number WHEN 0 THEN 25 ELSE n.number END;
SELECT ok(bool_and(tallymark.verify_job(j.id)), 'the ledgers fold to the states')
FROM tallymark.job AS j JOIN name AS n ON n.id = j.id;
SELECT is(count(*), 1000::bigint, 'the same batch again is a thousand duplicates')
FROM batch AS b, jsonb_array_elements(tallymark.merge_batch(b.updates, '{taskId,status,timestamp}', NULL)) AS a WHERE
  a.value -> 'duplicate' = 'true';
SELECT is((SELECT count(*) FROM tallymark.job_event AS e JOIN name AS n ON n.id = e.job_id), 1000::bigint,
  'that are not in the ledger');

SELECT * FROM finish();
ROLLBACK;
