-- The counts of a row become the job's first event, the entries of its timeline become events under their own times, and
-- the last event has the status, the other fields and the resume state. The state is the fold of these.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(14);

CREATE TEMPORARY TABLE done AS SELECT tallymark.import_original_row('{"id": "job", "status": "running",
  "started_at": "2025-01-06T10:00:00", "updated_at": "2025-01-06T12:00:00+01:00", "finished_at": null,
  "resume_state": {"page": 7}, "account_id": 5,
  "progress": {"processedItems": 150, "totalItems": 500, "itemsByType": {"issues": 125, "groups": 5},
    "stage": "data_collection", "lastProcessedId": "x9", "custom": {"a": [null]}, "timeline": [
      {"timestamp": "2025-01-06T10:00:01.000Z", "event": "areas_discovered", "details": {"groups": 5}},
      {"timestamp": "2025-01-06T10:30:00.000Z", "event": "stage_change", "details": {"toStage": "data_collection"}}]}}')
  AS it;
SELECT is(it, '{"id": "job", "outcome": "imported", "events": 5, "timelineEntries": 2, "problems": [], "mended": [],
  "taken": ["progress.custom", "progress.itemsByType", "progress.lastProcessedId", "progress.processedItems",
    "progress.stage", "progress.timeline", "progress.totalItems", "resumeState", "startedAt", "status", "updatedAt"]}',
  'all of it is taken over') FROM done;
SELECT results_eq($$ SELECT t.seq, t.event, t."timestamp", t.details ->> 'status' FROM tallymark.timeline('job') AS t
    WHERE t.event <> 'original_imported' $$,
  $$ VALUES (1::bigint, 'progress_update', '2025-01-06T10:00:00Z'::timestamptz, 'started'),
    (2, 'areas_discovered', '2025-01-06T10:00:01Z', NULL), (3, 'stage_change', '2025-01-06T10:30:00Z', NULL),
    (5, 'stage_change', '2025-01-06T11:00:00Z', 'processing') $$,
  'the events are in the order of the row, under their own times');
SELECT is(details -> 'itemsByType', '{"issues": 125, "groups": 5}', 'the first has the counts')
  FROM tallymark.timeline('job', 0, 1);
SELECT is(details, '{"groups": 5}', 'the crawler''s own are unchanged') FROM tallymark.timeline('job', 1, 1);
SELECT is(event, 'original_imported', 'one says that the job was imported') FROM tallymark.timeline('job', 3, 1);
SELECT is(j.status, 'running', 'the status') FROM tallymark.job AS j WHERE j.id = 'job';
SELECT is(j.progress, '{"processedItems": 150, "totalItems": 500, "itemsByType": {"issues": 125, "groups": 5},
  "stage": "data_collection", "lastProcessedId": "x9", "custom": {"a": [null]}}', 'the progress')
  FROM tallymark.job AS j WHERE j.id = 'job';
SELECT is(j.resume_state, '{"page": 7}', 'and the resume state are those of the row')
  FROM tallymark.job AS j WHERE j.id = 'job';
SELECT is(j.started_at, '2025-01-06T10:00:00Z', 'so is the start') FROM tallymark.job AS j WHERE j.id = 'job';
SELECT ok(tallymark.verify_job('job'), 'the state is the fold of the ledger');

-- A crawler goes on where it was: its increments are added, its running totals go on.
DO $$ BEGIN PERFORM tallymark.merge_progress('job', '{"timestamp": "2025-01-06T12:00:00Z", "processedItems": 160,
  "itemsByType": {"issues": 10}, "groupCount": 6}'); END $$;
SELECT is(j.progress - '{stage,custom,totalItems,lastProcessedId}'::text[],
  '{"processedItems": 160, "itemsByType": {"issues": 135, "groups": 6}}', 'a crawler goes on from these counts')
  FROM tallymark.job AS j WHERE j.id = 'job';

SELECT is(tallymark.import_original_row(jsonb_build_object('id', s.original, 'status', s.original, 'progress',
  '{"processedItems": 1}'::jsonb, 'startedAt', '2025-01-06T10:00:00Z', 'finishedAt', '2025-01-06T11:00:00Z',
  'updatedAt', '2025-01-06T11:00:05Z')) -> 'outcome', '"imported"', s.original || ' is taken over')
FROM (VALUES ('finished'), ('failed')) AS s (original);
SELECT results_eq($$ SELECT j.id COLLATE "default", j.status, j.started_at, j.finished_at, tallymark.verify_job(j.id), e.event,
    e.details -> 'duration' FROM tallymark.job AS j
    JOIN tallymark.job_event AS e ON e.job_id = j.id AND e.seq = j.last_seq WHERE j.id IN ('finished', 'failed')
    ORDER BY j.id $$,
  $$ VALUES ('failed', 'failed', '2025-01-06T10:00:00Z'::timestamptz, '2025-01-06T11:00:00Z'::timestamptz, true, 'error',
    NULL::jsonb), ('finished', 'finished', '2025-01-06T10:00:00Z', '2025-01-06T11:00:00Z', true, 'completion',
    '3600000'::jsonb) $$, 'a job that has ended keeps its times');

SELECT * FROM finish();
ROLLBACK;
