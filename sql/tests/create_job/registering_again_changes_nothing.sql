-- Registering a job again, even with other attributes or after it has progressed, changes nothing.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(13);

CREATE TEMPORARY TABLE first AS SELECT tallymark.create_job('job', '{"command": "crawl", "account": {"id": 5}}') AS it;
SELECT is(it -> 'created', 'true', 'the first time it is new') FROM first;
SELECT is(it - 'created', tallymark.get_job('job'), 'and the answer is that of get_job') FROM first;
SELECT is(it -> 'attributes', '{"command": "crawl", "account": {"id": 5}}', 'with the registrar''s attributes')
  FROM first;
SELECT is(it ->> 'status', 'queued', 'it is queued') FROM first;

DO $$ BEGIN PERFORM tallymark.merge_progress('job', '{"status": "started", "processedItems": 4}'); END $$;
CREATE TEMPORARY TABLE before AS SELECT j.* FROM tallymark.job AS j WHERE j.id = 'job';
CREATE TEMPORARY TABLE again AS SELECT tallymark.create_job('job', '{"command": "other", "counting": "cumulative"}')
  AS it;
SELECT is(it -> 'created', 'false', 'the next time it is not new') FROM again;
SELECT is(it -> 'attributes', '{"command": "crawl", "account": {"id": 5}}', 'it keeps its first attributes')
  FROM again;
SELECT is(it #> '{progress,processedItems}', '4', 'the answer has its progress') FROM again;
SELECT results_eq($$ SELECT j.* FROM tallymark.job AS j WHERE j.id = 'job' $$, 'SELECT * FROM before',
  'and its row is as before');
SELECT is(tallymark.create_job('part', '{"series": "nightly"}', 'job') ->> 'parent', 'job', 'a job may be part of another');
SELECT is(tallymark.create_job('part', '{"series": "weekly"}', 'other') ->> 'parent', 'job', 'it stays part of that one');
SELECT is((SELECT j.series FROM tallymark.job AS j WHERE j.id = 'part'), 'nightly', 'and a run of its series');
SELECT is(tallymark.get_job('job') -> 'parent', NULL, 'other jobs are part of none');
SELECT is(tallymark.create_job('Job') -> 'created', 'true', 'letter case makes another job');

SELECT * FROM finish();
ROLLBACK;
