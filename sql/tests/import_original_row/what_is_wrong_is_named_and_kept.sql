-- What is wrong with a row is named field by field, all at once; all else of it is taken over, and what was not taken as
-- it was is in the event original_imported.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(17);
\ir ../helpers.psql

CREATE TEMPORARY TABLE done AS SELECT tallymark.import_original_row(jsonb_build_object('id', 'job', 'status', 'exploded',
  'started_at', 'yesterday', 'finished_at', '2025-01-06T11:00:00', 'updated_at', 'infinity', 'resume_state',
  to_jsonb(repeat('x', 70000)), 'progress', '{"processed": "150", "total": -5, "groupCount": 3, "stage": null,
  "operationType": "dancing", "lastProcessedId": 17, "currentDataType": {"a": 1}, "taskId": "job",
  "itemsByType": {"issues": "12", "bugs": -1, "half": 0.5, "huge": 9007199254740992, "": 3, "none": null},
  "timeline": [{"timestamp": "2025-01-06T10:00:00Z", "event": "note"}, {"timestamp": "never", "event": "bad", "x": 1},
    "text", {"timestamp": 1736157600000, "details": []}, null]}'::jsonb)) AS it;
SELECT is((SELECT string_agg(p ->> 'field', ' ' ORDER BY p ->> 'field' COLLATE "C")
    FROM jsonb_array_elements(it -> 'problems') AS p),
  'progress.currentDataType progress.itemsByType. progress.itemsByType.bugs progress.itemsByType.half '
  'progress.itemsByType.huge progress.operationType progress.total resumeState startedAt status updatedAt',
  'all problems are named') FROM done;
SELECT is((SELECT string_agg(p ->> 'field', ' ' ORDER BY p ->> 'field' COLLATE "C")
    FROM jsonb_array_elements(it -> 'mended') AS p),
  'progress.groupCount progress.itemsByType.issues progress.lastProcessedId progress.processed progress.stage '
  'progress.taskId progress.timeline[1] progress.timeline[2] progress.timeline[3] progress.timeline[4]',
  'and all that was changed') FROM done;
SELECT is(j.progress, '{"processedItems": 150, "itemsByType": {"issues": 12, "groups": 3}, "lastProcessedId": "17"}',
  'what can be taken is taken') FROM tallymark.job AS j WHERE j.id = 'job';
SELECT is(j.status, 'cancelled', 'of a job that has ended nobody knows how') FROM tallymark.job AS j WHERE j.id = 'job';
SELECT is(j.finished_at, '2025-01-06T11:00:00Z', 'but when') FROM tallymark.job AS j WHERE j.id = 'job';
SELECT is(j.started_at, '2025-01-06T10:00:00Z', 'it began with its first event') FROM tallymark.job AS j
  WHERE j.id = 'job';
SELECT ok(tallymark.verify_job('job'), 'the state is the fold of the ledger');
SELECT results_eq($$ SELECT t.event, t."timestamp" FROM tallymark.timeline('job', 1, 5) AS t $$,
  $$ VALUES ('note', '2025-01-06T10:00:00Z'::timestamptz), ('bad', '2025-01-06T10:00:00Z'),
    ('unknown', '2025-01-06T10:00:00Z'), ('unknown', '2025-01-06T10:00:00Z'), ('unknown', '2025-01-06T10:00:00Z') $$,
  'every entry of the timeline is an event');
SELECT is(details, '{"original": {"timestamp": "never", "event": "bad", "x": 1}}', 'with the entry as it was')
  FROM tallymark.timeline('job', 2, 1);
SELECT is(details, '{"original": "text"}', 'whatever it was') FROM tallymark.timeline('job', 3, 1);
CREATE TEMPORARY TABLE kept AS SELECT details FROM tallymark.timeline('job', 0, 100, 'original_imported');
SELECT is((details -> 'kept') - 'resumeState', '{"status": "exploded", "startedAt": "yesterday", "updatedAt": "infinity",
  "progress.total": -5, "progress.processed": "150", "progress.operationType": "dancing", "progress.lastProcessedId": 17,
  "progress.currentDataType": {"a": 1}, "progress.taskId": "job", "progress.itemsByType.bugs": -1,
  "progress.itemsByType.half": 0.5, "progress.itemsByType.huge": 9007199254740992, "progress.itemsByType.": 3}',
  'what was not taken as it was is kept') FROM kept;
SELECT is(details #>> '{kept,resumeState}', repeat('x', 70000), 'however large') FROM kept;
SELECT is(details -> 'problems', it -> 'problems', 'with the problems') FROM kept, done;

-- An id that no job can have is refused, with all problems of the row.
CREATE FUNCTION pg_temp.refused(original jsonb) RETURNS text LANGUAGE sql
RETURN pg_temp.fields_refused(format('import_original_row(%L)', original));
SELECT is(pg_temp.refused('{"id": null, "status": "x"}'), 'id status', 'a row without an id');
SELECT is(pg_temp.refused(jsonb_build_object('id', repeat('x', 256), 'status', 'running', 'progress', 5)), 'id progress',
  'an id that is too long');
SELECT is(pg_temp.refused('[1]'), '', 'no row at all');
SELECT is(pg_temp.refused(NULL), '', 'nothing at all');

SELECT * FROM finish();
ROLLBACK;
