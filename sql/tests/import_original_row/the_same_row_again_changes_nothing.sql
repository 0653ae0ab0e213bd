-- A row is taken over once, however often it comes: also if the job has gone on meanwhile, and if it was pruned.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(12);
\ir ../helpers.psql

CREATE TEMPORARY TABLE original AS SELECT '{"id": "job", "status": "running", "started_at": "2025-01-06T10:00:00",
  "updated_at": "2025-01-06T11:00:00", "progress": {"processedItems": 150, "itemsByType": {"issues": 125},
  "timeline": [{"timestamp": "2025-01-06T10:00:01Z", "event": "note"}]}}'::jsonb AS it;
SELECT is(tallymark.import_original_row(it) ->> 'outcome', 'imported', 'it is taken over') FROM original;
CREATE TEMPORARY TABLE before AS SELECT pg_temp.all_of_it() AS it;
SELECT is(tallymark.import_original_row(it) - 'taken', '{"id": "job", "outcome": "unchanged", "events": 0,
  "timelineEntries": 1, "problems": [], "mended": []}', 'again it is not') FROM original;
SELECT is(pg_temp.all_of_it(), it, 'and nothing changes') FROM before;
SELECT is(tallymark.import_original_row('{"id": "job", "status": "running", "startedAt": "2025-01-06T10:00:00.000Z",
  "updatedAt": "2025-01-06T12:00:00+01", "finishedAt": null, "resumestate": null, "other": 1, "progress":
  {"timeline": [{"timestamp": "2025-01-06T10:00:01Z", "event": "note"}], "itemsByType": {"issues": 125},
  "processedItems": 150}}') ->> 'outcome', 'unchanged', 'it is the same row, however its columns and times are written');
SELECT is(tallymark.import_original_job('job', 'running', it -> 'progress', NULL, '2025-01-06T10:00:00Z', NULL,
  '2025-01-06T11:00:00Z') ->> 'outcome', 'unchanged', 'and by its columns') FROM original;

DO $$ BEGIN PERFORM tallymark.merge_progress('job', '{"updateId": "u", "itemsByType": {"issues": 1}}'); END $$;
UPDATE before SET it = pg_temp.all_of_it();
SELECT is(tallymark.import_original_row(it) ->> 'outcome', 'unchanged', 'so it is after the job has gone on')
  FROM original;
SELECT is(pg_temp.all_of_it(), it, 'and nothing changes') FROM before;

SELECT is(tallymark.prune_job('job', 'infinity', 0) -> 'events', '5', 'it is pruned');
SELECT is(tallymark.import_original_row(it) ->> 'outcome', 'unchanged', 'the row is still known') FROM original;
SELECT is((SELECT to_jsonb(j) - 'pruned_seq' FROM tallymark.job AS j WHERE j.id = 'job'), (it -> 0) - 'pruned_seq',
  'and nothing changes') FROM before;
SELECT ok(tallymark.verify_job('job'), 'the state is the fold of what is left');

SELECT results_eq($$ SELECT tallymark.import_original_row('{"id": "new", "status": "queued", "progress": null,
    "updated_at": "2025-01-06T11:00:00"}') ->> 'outcome' FROM generate_series(1, 2) $$,
  $$ VALUES ('registered'), ('registered') $$, 'a job that nobody has reported on is only registered');

SELECT * FROM finish();
ROLLBACK;
