-- Each member becomes a valid one of an update, or is named.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(10);

SELECT is(tallymark.original_fields('{}'), '{"taken": {}, "problems": [], "mended": [], "kept": {}}', 'none');
CREATE TEMPORARY TABLE read AS SELECT tallymark.original_fields(jsonb_build_object('processed', '7', 'processedItems', 9,
  'total', 20, 'groupTotal', 3, 'message', repeat('m', 2000), 'stage', repeat('s', 200), 'error', 17,
  'operationType', ' Discovery', 'lastProcessedId', repeat('i', 256), 'credentialStatus', 'bad', 'own', null,
  'errorTimestamp', '2025-01-06T10:00:00Z')) AS it;
SELECT is(it -> 'taken', jsonb_build_object('processedItems', 9, 'totalItems', 20, 'groupTotal', 3, 'message',
  repeat('m', 1000), 'stage', repeat('s', 100), 'error', '17', 'operationType', 'discovery'), 'what is taken') FROM read;
SELECT is((SELECT array_agg(p ->> 'field') FROM jsonb_array_elements(it -> 'problems') AS p),
  '{progress.credentialStatus,progress.lastProcessedId}', 'what is not: a cursor is never cut') FROM read;
SELECT is((SELECT string_agg(p ->> 'field', ' ') FROM jsonb_array_elements(it -> 'mended') AS p),
  'progress.error progress.errorTimestamp progress.message progress.operationType progress.own progress.processed '
  'progress.stage progress.total', 'what was changed') FROM read;
SELECT is((SELECT string_agg(k, ' ') FROM jsonb_object_keys(it -> 'kept') AS k ORDER BY 1),
  (SELECT string_agg(k, ' ') FROM jsonb_object_keys('{"progress.error": 1, "progress.stage": 1, "progress.message": 1,
    "progress.processed": 1, "progress.operationType": 1, "progress.errorTimestamp": 1, "progress.lastProcessedId": 1,
    "progress.credentialStatus": 1}'::jsonb) AS k), 'what is kept') FROM read;
SELECT is(it -> 'kept' ->> 'progress.lastProcessedId', repeat('i', 256), 'as it was') FROM read;

CREATE TEMPORARY TABLE large AS SELECT tallymark.original_fields(jsonb_build_object('small', 1, 'large',
  repeat('x', 900000))) AS it;
SELECT is(it -> 'taken', '{"small": 1}', 'a member that is too large') FROM large;
SELECT is(it -> 'problems' -> 0 ->> 'field', 'progress.large', 'is named') FROM large;
SELECT is(octet_length(it -> 'kept' ->> 'progress.large'), 900000, 'and kept') FROM large;
SELECT is((SELECT count(*) FROM jsonb_object_keys(tallymark.original_fields((
  SELECT jsonb_object_agg('m' || n, n) FROM generate_series(1, 1000) AS n)) -> 'taken')), 900::bigint,
  'of too many some are taken');

SELECT * FROM finish();
ROLLBACK;
