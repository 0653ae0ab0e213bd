-- processedItems is the highest value reported, whatever comes later or arrives late.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(7);
\ir ../helpers.psql

CREATE FUNCTION pg_temp.processed_after(payload jsonb) RETURNS jsonb LANGUAGE sql
RETURN (SELECT j.progress -> 'processedItems' FROM pg_temp.job_after(payload) AS j);
DO $$ BEGIN PERFORM tallymark.create_job('job'); END $$;

SELECT is(pg_temp.processed_after('{"status": "started", "timestamp": "2025-01-06T10:00:00Z"}'), NULL,
  'not given yet, it is not there');
SELECT is(pg_temp.processed_after('{"timestamp": "2025-01-06T10:01:00Z", "processedItems": 0}'), '0',
  'nought is a value');
SELECT is(pg_temp.processed_after('{"timestamp": "2025-01-06T10:02:00Z", "processedItems": 90}'), '90', 'it grows');
SELECT is(pg_temp.processed_after('{"timestamp": "2025-01-06T10:03:00Z", "processedItems": 40}'), '90',
  'a newer but lower value is passed over');
SELECT is(pg_temp.processed_after('{"timestamp": "2025-01-06T09:00:00Z", "processedItems": 95}'), '95',
  'a higher value counts although it is older');
SELECT is(pg_temp.processed_after('{"timestamp": "2025-01-06T10:04:00Z", "processedItems": null}'), '95',
  'null is not a value');
SELECT is(pg_temp.processed_after('{"timestamp": "2025-01-06T10:05:00Z", "processedItems": 100.0}')::text, '100',
  'a whole number with a fraction of nought is kept without it');

SELECT * FROM finish();
ROLLBACK;
