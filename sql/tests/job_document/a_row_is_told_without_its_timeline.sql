-- This is the one place that defines a job from outside; get_job adds the timeline.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(2);

DO $$
BEGIN
  PERFORM tallymark.create_job('document', '{"account": 5}');
  PERFORM tallymark.merge_progress('document', '{"status": "started", "timestamp": "2025-01-06T10:00:00Z",
    "totalItems": 500, "processedItems": 5, "progress": {"page": 2}}');
END
$$;

SELECT is((SELECT tallymark.job_document(j) FROM tallymark.job AS j WHERE j.id = 'document'),
  tallymark.get_job('document') #- '{progress,timeline}', 'it is what get_job says, but for the timeline');
SELECT is((SELECT tallymark.job_document(j) -> 'progress' FROM tallymark.job AS j WHERE j.id = 'document'),
  '{"totalItems": 500, "processedItems": 5}', 'the merged state is in it');

SELECT * FROM finish();
ROLLBACK;
