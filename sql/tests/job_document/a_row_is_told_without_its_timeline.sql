-- This is the one place that defines a job from outside; get_job adds the timeline.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(2);
\ir ../helpers.psql

DO $$
BEGIN
  PERFORM tallymark.create_job('document', '{"account": 5}');
  PERFORM tallymark.merge_progress('document', '{"status": "started", "timestamp": "2025-01-06T10:00:00Z",
    "totalItems": 500, "processedItems": 5, "progress": {"page": 2}}');
END
$$;

SELECT is(tallymark.job_document(pg_temp.row_of('document')),
  tallymark.get_job('document') #- '{progress,timeline}', 'it is what get_job says, but for the timeline');
SELECT is(tallymark.job_document(pg_temp.row_of('document')) -> 'progress',
  '{"totalItems": 500, "processedItems": 5}', 'the merged state is in it');

SELECT * FROM finish();
ROLLBACK;
