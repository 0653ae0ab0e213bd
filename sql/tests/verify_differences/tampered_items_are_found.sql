-- If anything about the keys of a job's items was changed by hand, verify_job is false, also after pruning.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(20);
\ir ../helpers.psql

DO $$
BEGIN
  PERFORM tallymark.create_job('job'), tallymark.create_job('other');
  PERFORM tallymark.merge_progress(j.id, u.value) FROM unnest('{job,other}'::text[]) AS j (id), jsonb_array_elements('[
    {"updateId": "1", "itemKeys": {"pages": ["a"]}},
    {"updateId": "2", "itemKeys": {"pages": ["a", "b"]}}]') AS u;
END
$$;
CREATE TEMPORARY TABLE changes (number integer, change text, fields text);
INSERT INTO changes VALUES
  (1, $$DELETE FROM tallymark.job_item WHERE job_id = 'job' AND seq = 2$$, 'itemKeys: pages: b'),
  (2, $$DELETE FROM tallymark.job_item WHERE job_id = 'job'$$, 'itemKeys: pages: b, itemKeys: pages: a'),
  (3, $$INSERT INTO tallymark.job_item VALUES ('job', 'pages', '\x00', 2)$$, 'itemKeys: pages: 00'),
  (4, $$INSERT INTO tallymark.job_item SELECT job_id, 'x', key_digest, seq FROM tallymark.job_item WHERE job_id = 'job'
    AND seq = 2$$, 'itemKeys: x: b'),
  (5, $$UPDATE tallymark.job_item SET seq = 1 WHERE job_id = 'job'$$, 'itemKeys: pages: b'),
  (6, $$UPDATE tallymark.job_item SET job_id = 'third' WHERE job_id = 'job' AND seq = 1$$, 'itemKeys: pages: a'),
  (7, $$UPDATE tallymark.job SET progress = jsonb_set(progress, '{itemsByType,pages}', '3') WHERE id = 'job'$$,
    'itemsByType'),
  (8, $$UPDATE tallymark.job_event SET details = '{"counted": {"pages": 2}}' WHERE job_id = 'job' AND seq = 2$$,
    'counted'),
  (9, $$UPDATE tallymark.job_event SET details = NULL WHERE job_id = 'job' AND seq = 1$$, 'counted'),
  (10, $$UPDATE tallymark.job_event SET payload = payload - 'itemKeys' WHERE job_id = 'job' AND seq = 1$$,
    'counted, itemKeys: pages: a'),
  (11, $$UPDATE tallymark.job_event SET payload = jsonb_set(payload, '{itemKeys,pages,0}', '"00"') WHERE job_id = 'job'
    AND seq = 2$$, 'itemKeys: pages: 00, itemKeys: pages: b'),
  (12, $$UPDATE tallymark.job_event SET payload = jsonb_set(payload, '{itemKeys}', '5') WHERE job_id = 'job'
    AND seq = 2$$, 'payload'),
  (13, $$UPDATE tallymark.job_event SET payload = jsonb_set(payload, '{itemKeys,pages,0}', '"no digest"')
    WHERE job_id = 'job' AND seq = 2$$, 'ledger'),
  (14, $$DELETE FROM tallymark.job_item WHERE job_id = 'other'$$, NULL);
CREATE FUNCTION pg_temp.named(found text) RETURNS text LANGUAGE sql AS
  $$ SELECT replace(replace(found, 'ca978112ca1bbdcafac231b39a23dc4d', 'a'), '3e23e8160039594a33894f6564e1b134', 'b') $$;

SELECT is(pg_temp.differences('SELECT'), 'true', 'as they are, the items are what the ledger says');
SELECT is(pg_temp.named(pg_temp.differences(c.change)), coalesce('false ' || c.fields, 'true'), c.change)
FROM changes AS c ORDER BY c.number;
DO $$ BEGIN PERFORM tallymark.prune_job('job', 'infinity', 1); END $$;
SELECT is(pg_temp.differences('SELECT'), 'true', 'also after the first event was pruned');
SELECT is(pg_temp.named(pg_temp.differences(c.change)), 'false ' || f.fields, 'then: ' || c.change)
FROM (VALUES (1, 'itemKeys: pages: b'), (6, 'counted, itemKeys: pages: a'), (7, 'itemsByType')) AS f (number, fields)
JOIN changes AS c ON c.number = f.number ORDER BY c.number;
DO $$ BEGIN PERFORM tallymark.prune_job('job', 'infinity', 0); END $$;
SELECT is(pg_temp.differences($$DELETE FROM tallymark.job_item WHERE job_id = 'job' AND seq = 1$$), 'false itemsByType',
  'where all events were pruned, a missing key is found by the count');

SELECT * FROM finish();
ROLLBACK;
