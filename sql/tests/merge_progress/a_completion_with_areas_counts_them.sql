-- The final counts of a completion include the areas that came with it.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(5);

DO $$
BEGIN
  PERFORM tallymark.create_job('job');
  PERFORM tallymark.merge_progress('job', '{"timestamp": "2025-01-06T10:00:00Z", "itemsByType": {"issues": 3}, '
    '"processedItems": 3}');
  PERFORM tallymark.merge_progress('job', '{"timestamp": "2025-01-06T10:01:00Z", "status": "completed", "totalItems": 3,
    "itemsByType": {"groups": 9}, "areas": [{"fullPath": "g", "type": "group"}, {"fullPath": "p", "type":
      "project"}]}');
END
$$;
SELECT is(event, 'completion', 'the event is a completion') FROM tallymark.timeline('job', 1);
SELECT is(details -> 'finalCounts', '{"totalItems": 3, "itemsByType": {"groups": 1, "issues": 3, "projects": 1}, '
  '"processedItems": 3}',
  'its final counts hold the areas') FROM tallymark.timeline('job', 1);
SELECT is(details -> 'totalDiscovered', '2', 'and its details how many they were') FROM tallymark.timeline('job', 1);
SELECT is(progress -> 'itemsByType', '{"groups": 1, "issues": 3, "projects": 1}', 'as the job has them') FROM
  tallymark.job WHERE id = 'job';
SELECT ok(tallymark.verify_job('job'), 'the ledger folds to the state');

SELECT * FROM finish();
ROLLBACK;
