-- Newest wins, field by field: a late update changes only fields that no newer update gave.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(10);
\ir ../helpers.psql

CREATE FUNCTION pg_temp.field_after(field text, payload jsonb) RETURNS jsonb LANGUAGE sql
RETURN (SELECT j.progress -> field FROM pg_temp.job_after(payload) AS j);
DO $$ BEGIN PERFORM tallymark.create_job('job'); END $$;

SELECT is(pg_temp.field_after('stage', '{"timestamp": "2025-01-06T10:10:00Z", "stage": "b", "lastProcessedId": "10"}'),
  '"b"', 'a field that is given is kept');
SELECT is(pg_temp.field_after('stage', '{"timestamp": "2025-01-06T10:05:00Z", "stage": "a", "message": "late"}'),
  '"b"', 'a late update does not move a field that a newer one gave');
SELECT is(progress -> 'message', '"late"', 'but it sets one that no newer update gave') FROM tallymark.job
  WHERE id = 'job';
SELECT is(pg_temp.field_after('stage', '{"timestamp": "2025-01-06T10:20:00Z", "message": "new"}'), '"b"',
  'a newer update without the field leaves it');
SELECT is(pg_temp.field_after('stage', '{"timestamp": "2025-01-06T10:15:00Z", "stage": "c", "message": "late again"}'),
  '"c"', 'an update older than the newest still moves a field that was given before it');
SELECT is(progress -> 'message', '"new"', 'and not the one given after it') FROM tallymark.job WHERE id = 'job';
SELECT is(pg_temp.field_after('lastProcessedId', '{"timestamp": "2025-01-06T10:25:00Z", "lastProcessedId": null}'),
  '"10"', 'null does not move a field');
SELECT is(pg_temp.field_after('totalItems', '{"timestamp": "2025-01-06T10:30:00Z", "totalItems": 900}'), '900',
  'totalItems is a field like any other');
SELECT is(pg_temp.field_after('totalItems', '{"timestamp": "2025-01-06T10:31:00Z", "totalItems": 300}'), '300',
  'so the newest total wins, though it is lower');
SELECT is(pg_temp.field_after('anything', '{"timestamp": "2025-01-06T10:32:00Z", "anything": {"deep": [1, null]}}'),
  '{"deep": [1, null]}', 'a field of the crawler''s own is kept as it is, nulls inside it too');

SELECT * FROM finish();
ROLLBACK;
