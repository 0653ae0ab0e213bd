-- The record has the row, the document that people know, the areas, and the baseline where there is one.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(9);

SELECT tallymark.create_job('job', '{"account": 7, "series": "s"}');
SELECT tallymark.merge_progress('job', '{"updateId": "1", "areas": [{"fullPath": "g", "type": "group"}],
  "itemKeys": {"pages": ["a", "b"]}}');
SELECT is(tallymark.job_record('job') #>> '{job,attributes,account}', '7', 'the row');
SELECT is(tallymark.job_record('job') #>> '{document,lastSeq}', '1', 'the document');
SELECT is(tallymark.job_record('job') #>> '{areas,0,full_path}', 'g', 'the areas');
SELECT is(tallymark.job_record('job') -> 'baseline', 'null', 'no baseline');
SELECT is(tallymark.job_record('job') -> 'items', '2', 'the number of items that were counted by their keys');
SELECT tallymark.prune_job('job', 'infinity', 0);
SELECT is(tallymark.job_record('job') #> '{pace,items}', '[3]', 'how it went');
SELECT is(tallymark.job_record('job') #> '{job,series}', '"s"', 'and its series');
SELECT is(tallymark.job_record('job') #>> '{baseline,seq}', '1', 'the baseline');
SELECT throws_ok($$SELECT tallymark.job_record('no such job')$$, 'TK404', NULL, 'an unknown job');

SELECT * FROM finish();
ROLLBACK;
