-- All problems of an update are returned at once, so that its author need not find them one by one.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(9);
\ir ../helpers.psql

DO $$ BEGIN PERFORM tallymark.create_job('job'); END $$;

SELECT is(pg_temp.at_fault('{"taskId": "another job", "status": "processing", "timestamp": "yesterday",
  "processedItems": -1,
  "totalItems": 1.5, "itemsByType": {"issues": -1, "commits": 5, "groups": "x"}, "currentDataType": 5, "stage": [],
  "operationType": "mining", "lastProcessedId": {}, "message": 7, "error": 5, "areas": 5, "credentialStatus": "x",
  "timeline": [{"event": "", "timestamp": "2025-01-06"}, 5], "workerId": "", "counting": "no", "own": "good"}'),
  'areas counting credentialStatus currentDataType error itemsByType.groups itemsByType.issues lastProcessedId message '
  'operationType processedItems stage taskId timeline[0].event timeline[1] timestamp totalItems workerId',
  'each field at fault is named once, and no other');
SELECT is(pg_temp.at_fault('{"status": "unknown", "processedItems": -1}'), 'processedItems status',
  'also beside a status that is not known');
SELECT is(pg_temp.at_fault('{"taskId": "job"}'), 'taken', 'the job''s own id is good');
SELECT is(pg_temp.at_fault('{"taskId": 5}'), 'taskId', 'an id that is no text is not');
SELECT is(pg_temp.at_fault('{"status": 5}'), 'status', 'nor a status that is no text');
SELECT is(pg_temp.at_fault('{"timestamp": 1736190930}'), 'timestamp', 'nor a time that is a number');
SELECT is(pg_temp.at_fault('{"timestamp": "2025-02-30T10:00:00Z"}'), 'timestamp', 'nor a day that does not exist');
SELECT is(pg_temp.at_fault('{"taskId": null, "status": null, "timestamp": null, "processedItems": null,
  "itemsByType": null,
  "stage": null, "operationType": null, "error": null, "areas": null, "timeline": null, "progress": null, "own": null,
  "workerId": null, "counting": null}'), 'taken', 'what is null is not given, and no problem');
SELECT is(progress, '{}', 'and leaves no trace') FROM tallymark.job WHERE id = 'job';

SELECT * FROM finish();
ROLLBACK;
