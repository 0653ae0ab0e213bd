-- A key counts once for a job and a type, no matter which worker sends it, in which update, or how often. The answer says
-- how many keys were new. A duplicate gets the same answer.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(30);
\ir ../helpers.psql

DO $$ BEGIN PERFORM tallymark.create_job('job'), tallymark.create_job('other'); END $$;
CREATE FUNCTION pg_temp.counts(job text DEFAULT 'job') RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  RETURN (SELECT (j.progress -> 'itemsByType')::text || ' ' || (SELECT count(*) FROM tallymark.job_item AS i WHERE i.job_id =
    j.id)
    || CASE WHEN tallymark.verify_job(j.id) THEN '' ELSE ' not verified' END
  FROM tallymark.job AS j WHERE j.id = $1);
END
$$;
CREATE FUNCTION pg_temp.sent(payload jsonb, job text DEFAULT 'job') RETURNS jsonb LANGUAGE sql AS
  $$ SELECT tallymark.merge_progress($2, '{"status": "processing"}' || $1) $$;

SELECT is(pg_temp.sent('{"updateId": "1", "itemKeys": {"pages": ["a", "b", "a"], "issues": ["a"]}}'),
  '{"seq": 1, "status": "received", "command": null, "message": "Progress update acknowledged for task job",
    "warnings": [], "duplicate": false, "counted": {"pages": 2, "issues": 1}, "seenBefore": {"pages": 0, "issues": 0}}',
  'keys are counted for each type, twice in one update once');
SELECT is(pg_temp.counts(), '{"pages": 2, "issues": 1} 3', 'a row for each');
SELECT is(jsonb_build_array(a -> 'counted', a -> 'seenBefore'), '[{"pages": 1}, {"pages": 2}]', 'known keys of another update do not count')
FROM pg_temp.sent('{"updateId": "2", "workerId": "w", "itemKeys": {"pages": ["b", "c", "a"]}}') AS a;
SELECT is(pg_temp.counts(), '{"pages": 3, "issues": 1} 4', 'from another worker either');
SELECT is(a - 'message', '{"seq": 2, "status": "received", "command": null, "warnings": [], "duplicate": true,
    "counted": {"pages": 1}, "seenBefore": {"pages": 2}}', 'a duplicate gets the answer of the first time')
FROM pg_temp.sent('{"updateId": "2", "workerId": "w", "itemKeys": {"pages": ["b", "c", "a"]}}') AS a;
SELECT is(a -> 'warnings' -> 0 IS NOT NULL, true, 'an updateId for other keys is a duplicate, with a warning')
FROM pg_temp.sent('{"updateId": "2", "itemKeys": {"pages": ["new"]}}') AS a;
SELECT is(pg_temp.counts(), '{"pages": 3, "issues": 1} 4', 'duplicates count nothing');
SELECT is(jsonb_build_array(a -> 'counted', a -> 'seenBefore'), '[{"pages": 0}, {"pages": 1}]', 'an update without new keys is taken')
FROM pg_temp.sent('{"updateId": "3", "itemKeys": {"pages": ["a"]}}') AS a;
SELECT is(pg_temp.counts(), '{"pages": 3, "issues": 1} 4', 'and changes no count');
SELECT is(pg_temp.sent('{"updateId": "4", "itemKeys": {}, "itemsByType": {"pages": 10}}') ? 'counted', false,
  'an update without keys has no counts of keys in its answer');
SELECT is(pg_temp.counts(), '{"pages": 13, "issues": 1} 4', 'numbers of other updates are added');
SELECT is(a -> 'counted', '{"pages": 1}', 'beside running totals')
FROM pg_temp.sent('{"updateId": "5", "counting": "cumulative", "itemsByType": {"x": 7}, "itemKeys": {"pages": ["d"]}}') AS a;
SELECT is(pg_temp.counts(), '{"x": 7, "pages": 14, "issues": 1} 5', 'keys are counted all the same');
SELECT is(a -> 'warnings' || (a -> 'counted'),
  '["counts of groups and projects were left out: the areas themselves are counted", {"pages": 1}]',
  'areas are counted as areas')
FROM pg_temp.sent('{"updateId": "6", "itemKeys": {"groups": ["g"], "projects": ["p"], "pages": ["e"]},
  "areas": [{"fullPath": "g", "type": "group"}]}') AS a;
SELECT is(pg_temp.counts(), '{"x": 7, "pages": 15, "groups": 1, "issues": 1, "projects": 0} 6', 'and not by keys, too');
SELECT is(pg_temp.sent('{"updateId": "7", "itemKeys": {"groups": ["g"]},
  "areas": [{"fullPath": "g", "type": "group"}]}') ? 'counted', false, 'where no keys are left, none are counted');
SELECT is(a -> 'counted', '{"pages": 1}', 'for another job all keys are new')
FROM pg_temp.sent('{"itemKeys": {"pages": ["a"]}}', 'other') AS a;
SELECT is(pg_temp.counts('other'), '{"pages": 1} 1', 'and count there');
SELECT is(facets -> 'itemTypes', '["pages"]', 'which can be searched by its type') FROM tallymark.job WHERE id = 'other';
SELECT is(tallymark.get_job('other', 0) ->> 'summary', '1 pages', 'its summary counts them');
SELECT is(tallymark.merge_progress('other', '{"status": "completed", "totalItems": 2, "itemKeys": {"pages": ["b"]}}') -> 'finalCounts',
  '{"totalItems": 2, "processedItems": null, "itemsByType": {"pages": 2}}', 'final counts have them');
SELECT is(jsonb_build_array(details -> 'counted', details -> 'seenBefore', details -> 'finalCounts' -> 'itemsByType'),
  '[{"pages": 1}, {"pages": 0}, {"pages": 2}]', 'and so has the event of the completion')
FROM tallymark.timeline('other') WHERE event = 'completion';
SELECT is(tallymark.get_job('other', 0) -> 'percentage', '100.0', 'the percentage is that of the keys');
SELECT results_eq($$SELECT seq, given, value FROM tallymark.accumulation_history('job', 'itemsByType.pages')$$,
  $$VALUES (1::bigint, '2'::jsonb, '2'::jsonb), (2, '1', '3'), (3, '0', '3'), (4, '10', '13'), (5, '1', '14'),
    (6, '1', '15')$$, 'the history tells what each update added');
SELECT is(array_agg(value ->> 'pages' ORDER BY seq), '{2,3,3,13,14,15}', 'of all types, too')
FROM tallymark.accumulation_history('job', 'itemsByType') WHERE seq < 7;
SELECT is(tallymark.job_at('job', n) #> '{progress,itemsByType,pages}', e.pages, 'as of event ' || n)
FROM (VALUES (1, '2'::jsonb), (2, '3'), (4, '13')) AS e (n, pages);
SELECT is(jsonb_build_array(details -> 'counted', details -> 'seenBefore'), '[{"pages": 1}, {"pages": 2}]',
  'the timeline says what an update brought') FROM tallymark.timeline('job') WHERE seq = 2;
SELECT is(pg_temp.sent('{"timestamp": "2025-01-06T10:00:00Z", "itemKeys": {"pages": ["z"]}}') -> 'duplicate'
    || (pg_temp.sent('{"timestamp": "2025-01-06T10:00:00Z", "itemKeys": {"pages": ["z"]}}') -> 'duplicate')
    || (pg_temp.sent('{"timestamp": "2025-01-06T10:00:00Z", "itemKeys": {"pages": ["z", "z"]}}') -> 'duplicate'),
  '[false, true, false]', 'without an updateId an update is known by its content as it was sent');

SELECT * FROM finish();
ROLLBACK;
