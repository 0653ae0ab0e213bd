-- The columns of a row come to the same as the row, and a time that no crawler could send is named.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(5);

CREATE TEMPORARY TABLE done AS SELECT tallymark.import_original_job(id => 'job', status => 'paused',
  progress => '{"itemsByType": {"issues": 3}}', resume_state => '"token"', started_at => '2025-01-06T10:00:00+05:30',
  finished_at => NULL, updated_at => 'infinity') AS it;
SELECT is(it ->> 'outcome', 'imported', 'it is taken over') FROM done;
SELECT is((SELECT array_agg(p ->> 'field') FROM jsonb_array_elements(it -> 'problems') AS p), '{updatedAt}',
  'a time without an end is named') FROM done;
SELECT is(j.status || ' ' || j.resume_state, 'paused "token"', 'status and resume state are there')
  FROM tallymark.job AS j WHERE j.id = 'job';
SELECT is(j.started_at, '2025-01-06T04:30:00Z', 'and the start') FROM tallymark.job AS j WHERE j.id = 'job';
SELECT throws_ok($$ SELECT tallymark.import_original_job(NULL, 'paused', NULL, NULL, NULL, NULL, NULL) $$, 'TK400', NULL,
  'a row without an id is refused');

SELECT * FROM finish();
ROLLBACK;
