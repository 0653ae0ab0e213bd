-- What is part of a job is added up from the jobs themselves: by type, as percentage, and by the slowest of them.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(35);
\ir ../helpers.psql

DO $$
BEGIN
  PERFORM tallymark.create_job('crawl');
  PERFORM tallymark.create_job('crawl/' || n, parent => 'crawl') FROM generate_series(1, 4) AS n;
  PERFORM tallymark.create_job('crawl/1/1', parent => 'crawl/1');
  PERFORM tallymark.create_job('other');
  PERFORM tallymark.merge_progress('crawl/1', '{"updateId": "a", "itemsByType": {"issues": 3, "pages": 1}, "totalItems": 10}');
  PERFORM tallymark.merge_progress('crawl/1/1', '{"updateId": "b", "itemsByType": {"issues": 100}}');
  PERFORM tallymark.merge_progress('other', '{"updateId": "c", "itemsByType": {"issues": 100}}');
END
$$;
CREATE FUNCTION pg_temp.f(member text) RETURNS jsonb LANGUAGE sql RETURN tallymark.family('crawl') -> member;

SELECT is(pg_temp.f('children'), '4', 'what is part of a part is not in it');
SELECT is(pg_temp.f('statuses'), '{"queued": 3, "running": 1}', 'its jobs by status');
SELECT is(pg_temp.f('itemsByType'), '{"pages": 1, "issues": 3}', 'its counts by type');
SELECT is(pg_temp.f('processedItems'), '4', 'and together');
SELECT is(pg_temp.f('totalItems'), 'null', 'a total is unknown while that of a job is');
SELECT is(pg_temp.f('percentage'), 'null', 'and so is the percentage');
SELECT is(pg_temp.f('withoutEta'), '4', 'with one update there is no rate');
SELECT is(pg_temp.f('finishedAt'), 'null', 'it has not ended');

DO $$
BEGIN
  PERFORM tallymark.merge_progress('crawl/2', '{"updateId": "d", "processedItems": 5, "itemsByType": {"issues": 2}, "totalItems": 10}');
  PERFORM tallymark.merge_progress('crawl/3', '{"updateId": "e", "itemsByType": {"issues": 6}, "status": "completed"}');
  PERFORM tallymark.merge_progress('crawl/4', '{"updateId": "f", "itemsByType": {"users": 1}, "totalItems": 4, "status": "failed"}');
END
$$;
SELECT is(pg_temp.f('itemsByType'), '{"pages": 1, "users": 1, "issues": 11}', 'each new count is in it at once');
SELECT is(pg_temp.f('processedItems'), '16', 'processedItems where a job gave it, else its counts');
SELECT is(pg_temp.f('totalItems'), '30', 'a job that finished without a total has done all');
SELECT is(pg_temp.f('percentage'), '53.3', 'of the sums');
SELECT is(pg_temp.f('summary'), '"16/30 items (53%)"', 'in words');
SELECT is(pg_temp.f('statuses'), '{"failed": 1, "running": 2, "finished": 1}', 'by status');
SELECT is(pg_temp.f('startedAt') #>> '{}', (SELECT tallymark.iso_timestamp(min(j.started_at)) FROM tallymark.job AS j
  WHERE j.parent = 'crawl'), 'from the first start');
SELECT is(pg_temp.f('updatedAt') #>> '{}', (SELECT tallymark.iso_timestamp(max(j.updated_at)) FROM tallymark.job AS j
  WHERE j.parent = 'crawl'), 'to the last update');

-- One has had half of its items in a minute, the other a tenth.
SELECT pg_temp.move('job_event', 'recorded_at', '-1 minute', $c$job_id IN ('crawl/1', 'crawl/2')$c$);
DO $$
BEGIN
  PERFORM tallymark.merge_progress('crawl/1', '{"updateId": "g", "itemsByType": {"issues": 1}}');
  PERFORM tallymark.merge_progress('crawl/2', '{"updateId": "h", "processedItems": 9}');
END
$$;
SELECT is(pg_temp.f('slowest'), '"crawl/1"', 'the slowest decides when all is done');
SELECT is(pg_temp.f('etaSeconds') > '250', true, 'as its rate says');
SELECT is(pg_temp.f('withoutEta'), '0', 'and nothing is unknown');

DO $$
BEGIN
  PERFORM tallymark.merge_progress(id, '{"updateId": "i", "status": "completed"}') FROM unnest('{crawl/1,crawl/2}'::text[]) AS id;
END
$$;
SELECT is(pg_temp.f('finishedAt') #>> '{}', (SELECT tallymark.iso_timestamp(max(j.finished_at)) FROM tallymark.job AS j
  WHERE j.parent = 'crawl'), 'it ends with the last of them');
SELECT is(tallymark.family('crawl') #> '{jobs,1}', tallymark.newest_jobs(q => 'crawl/2') #> '{jobs,0}',
  'a job is as the overview has it');
SELECT is(jsonb_path_query_array(tallymark.family('crawl', 2), '$.jobs[*].id'), '["crawl/1", "crawl/2"]', 'a page of two');
SELECT is(jsonb_path_query_array(tallymark.family('crawl', 2, tallymark.family('crawl', 2) ->> 'next'), '$.jobs[*].id'),
  '["crawl/3", "crawl/4"]', 'and the next one');
SELECT is(tallymark.family('crawl', id_prefix => 'crawl/3') -> 'itemsByType', '{"issues": 6}', 'only of some ids');
SELECT is(tallymark.family('other') -> 'children', '0', 'a job may have none');
DO $$ BEGIN PERFORM tallymark.create_job('x', parent => 'nobody'); END $$;
SELECT is(tallymark.family('nobody') -> 'children', '1', 'the parent need not be there');
SELECT throws_ok($$ SELECT tallymark.family('no such job') $$, 'TK404', NULL, 'nothing is part of an unknown job');

-- Where jobs have books and no totalItems, the family goes by the books, as each of the jobs does.
DO $$
BEGIN
  PERFORM tallymark.create_job(id, parent => 'shelf') FROM unnest('{shelf/1,shelf/2}'::text[]) AS id;
  PERFORM tallymark.merge_progress('shelf/1', '{"updateId": "a", "totalsByType": {"issues": 10}, "itemsByType": {"issues": 2},
    "failedByType": {"issues": 1}}');
  PERFORM tallymark.merge_progress('shelf/2', '{"updateId": "b", "foundByType": {"issues": 10}, "skippedByType": {"issues": 2}}');
END
$$;
SELECT is(tallymark.family('shelf') -> 'totalItems', '20', 'the totals of the books are in the total');
SELECT is(tallymark.family('shelf') -> 'percentage', '25', 'what failed or was skipped is not left any more');
SELECT is(tallymark.family('shelf') -> 'summary', '"5/20 issues (25%)"', 'in words');
SELECT is(tallymark.family('shelf') -> 'processedItems', '2', 'and is not processed either');
SELECT is(tallymark.family('shelf') -> 'itemsByType', '{"issues": 2}', 'nor an item of its type');
SELECT pg_temp.move('job_event', 'recorded_at', '-1 minute', $c$job_id IN ('shelf/1', 'shelf/2')$c$);
DO $$ BEGIN
  PERFORM tallymark.merge_progress(id, '{"updateId": "c", "failedByType": {"issues": 1}}') FROM unnest('{shelf/1,shelf/2}'::text[]) AS id;
END $$;
SELECT is(tallymark.family('shelf') -> 'slowest', '"shelf/2"', 'the slowest by the books is found');
SELECT is(tallymark.family('shelf') -> 'withoutEta', '0', 'and each has a time');
DO $$ BEGIN PERFORM tallymark.merge_progress('shelf/2', '{"updateId": "d", "totalsByType": {"pages": 3}}'); END $$;
SELECT is(tallymark.family('shelf') -> 'summary', '"7/23 items (30%)"', 'a type that is only expected is one more');

SELECT * FROM finish();
ROLLBACK;
