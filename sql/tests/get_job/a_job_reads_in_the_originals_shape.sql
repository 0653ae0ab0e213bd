-- A job is one JSON document: the merged progress with its timeline, and the members of the protocol beside it.
BEGIN;
SET LOCAL search_path = tap, public;
SET LOCAL TimeZone = 'Asia/Kathmandu';
SELECT plan(9);

DO $$
BEGIN
  PERFORM tallymark.create_job('queued', '{"account": 5}');
  PERFORM tallymark.create_job('job');
  PERFORM tallymark.merge_progress('job', '{"status": "started", "timestamp": "2025-01-06T10:00:00Z", "totalItems": 500,
    "currentDataType": "issues", "progress": {"page": 2}}');
  PERFORM tallymark.merge_progress('job', '{"timestamp": "2025-01-06T10:01:00Z", "processedItems": 150, "stage": "s",
    "itemsByType": {"issues": 50}, "lastProcessedId": "x", "own": true}');
END
$$;

SELECT is(tallymark.get_job('queued') - '{createdAt,updatedAt}'::text[], '{"id": "queued", "status": "queued",
  "progress": {"timeline": []}, "resumeState": null, "lastSeq": 0, "percentage": null, "summary": "0 items", "books": null, "shortfall": null,
  "startedAt": null, "finishedAt": null, "attributes": {"account": 5}, "command": null}', 'a queued job');
SELECT is(tallymark.get_job('job') - '{createdAt,updatedAt,progress}'::text[], '{"id": "job", "status": "running",
  "resumeState": {"page": 2}, "lastSeq": 2, "percentage": 30.0, "summary": "150/500 issues (30%)", "books": null, "shortfall": null,
  "startedAt": "2025-01-06T10:00:00.000Z", "finishedAt": null, "attributes": {}, "command": null}', 'a running job');
SELECT is((tallymark.get_job('job') -> 'progress') - 'timeline', '{"totalItems": 500, "currentDataType": "issues",
  "processedItems": 150, "stage": "s", "itemsByType": {"issues": 50}, "lastProcessedId": "x", "own": true}',
    'its progress');
SELECT is(tallymark.get_job('job') #> '{progress,timeline}', '[
  {"seq": 1, "timestamp": "2025-01-06T10:00:00.000Z", "event": "progress_update",
    "details": {"status": "started", "totalItems": 500, "currentDataType": "issues"}},
  {"seq": 2, "timestamp": "2025-01-06T10:01:00.000Z", "event": "stage_change", "details": {"status": "processing",
    "processedItems": 150, "stage": "s", "itemsByType": {"issues": 50}, "lastProcessedId": "x", "fromStage": null,
      "toStage": "s"}}]',
  'and its timeline');
SELECT matches(tallymark.get_job('job') ->> m.name, '^20[0-9-]{8}T[0-9:.]+Z$', m.name || ' is an instant in UTC')
FROM unnest('{createdAt,updatedAt}'::text[]) AS m (name);

DO $$ BEGIN PERFORM tallymark.merge_progress('job', '{"status": "completed", "timestamp": "2025-01-06T10:30:00Z"}');
  END $$;
SELECT is(tallymark.get_job('job') ->> 'finishedAt', '2025-01-06T10:30:00.000Z', 'a finished job has its end');
SELECT is(tallymark.get_job('job') ->> 'resumeState', NULL, 'and nothing to resume');
SELECT is(progress ? 'timeline', false, 'the timeline is not stored inside the row that it describes')
  FROM tallymark.job
WHERE id = 'job';

SELECT * FROM finish();
ROLLBACK;
