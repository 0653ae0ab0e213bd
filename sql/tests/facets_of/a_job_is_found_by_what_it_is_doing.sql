-- The facets of a job are its newest stage, operation and data type, and the item types that it has counted.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(8);
\ir ../helpers.psql

CREATE FUNCTION pg_temp.facets_after(payload jsonb) RETURNS jsonb LANGUAGE sql
RETURN (SELECT j.facets FROM pg_temp.job_after(payload) AS j);
DO $$ BEGIN PERFORM tallymark.create_job('job'); END $$;

SELECT is(pg_temp.facets_after('{"timestamp": "2025-01-06T10:00:00Z"}'), '{}', 'nothing is known yet');
SELECT is(pg_temp.facets_after('{"timestamp": "2025-01-06T10:01:00Z", "stage": "a", "operationType": "discovery",
  "currentDataType": "groups"}'), '{"stage": "a", "operationType": "discovery", "currentDataType": "groups"}',
    'what it is doing');
SELECT is(pg_temp.facets_after('{"timestamp": "2025-01-06T10:00:30Z", "stage": "late"}') -> 'stage', '"a"',
  'a late stage does not count');
SELECT is(pg_temp.facets_after('{"timestamp": "2025-01-06T10:02:00Z", "stage": "b"}') -> 'stage', '"b"',
  'a newer one does');
SELECT is(pg_temp.facets_after('{"timestamp": "2025-01-06T10:03:00Z", "itemsByType": {"issues": 0}}') -> 'itemTypes',
  '["issues"]',
  'a type it counts');
SELECT is(pg_temp.facets_after('{"timestamp": "2025-01-06T10:04:00Z", "groupCount": 1}') -> 'itemTypes',
  '["groups", "issues"]',
  'one under a legacy name');
SELECT is(pg_temp.facets_after('{"timestamp": "2025-01-06T10:05:00Z", "workerId": "w", "counting": "cumulative",
  "itemsByType": {"commits": 1}}') -> 'itemTypes', '["groups", "issues", "commits"]', 'and one of a running total');
SELECT isnt_empty($$ SELECT FROM tallymark.job
  WHERE id = 'job' AND facets @> '{"stage": "b", "itemTypes": ["commits", "groups"]}' $$,
  'the job is found by several at once');

SELECT * FROM finish();
ROLLBACK;
