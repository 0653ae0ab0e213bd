-- A pruned update that comes again, however late, is a duplicate: with an updateId, by its content alone, in a batch,
-- or with other content.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(7);

CREATE TEMPORARY TABLE sent AS SELECT '{"taskId": "job", "status": "processing", "timestamp": "2025-01-06T10:00:00Z",
  "itemsByType": {"issues": 4}}'::jsonb AS update;
DO $$
BEGIN
  PERFORM tallymark.create_job('job');
  PERFORM tallymark.create_job('other');
  PERFORM tallymark.merge_progress('job', update) FROM sent;
  PERFORM tallymark.merge_progress('job', update || '{"updateId": "é"}') FROM sent;
  PERFORM tallymark.merge_progress('job', update || '{"updateId": "areas", "areas": [{"fullPath": "g", "type": "group"}]}')
  FROM sent;
  PERFORM tallymark.prune_job('job', 'infinity', 0);
END
$$;

SELECT is(a -> 'duplicate' || (a -> 'seq'), '[true, 1]', 'known by its content')
FROM sent, tallymark.merge_progress('job', update) AS a;
SELECT is(a -> 'duplicate' || (a -> 'seq') || (a -> 'warnings'), '[true, 2]', 'by its updateId, whatever its content')
FROM sent, tallymark.merge_progress('job', update || '{"updateId": "é", "itemsByType": {"issues": 9}}') AS a;
SELECT is(a -> 'duplicate' || (a -> 'seq'), '[true, 3]', 'with areas')
FROM sent, tallymark.merge_progress('job', update || '{"updateId": "areas", "areas": [{"fullPath": "g", "type": "group"}]}') AS a;
SELECT is(jsonb_path_query_array(a, '$[*].duplicate') || jsonb_path_query_array(a, '$[*].seq'),
  '[true, false, true, false, 1, 4, 2, 1]', 'in a batch, among others')
FROM sent, tallymark.merge_progress_batch(jsonb_build_array(update, update || '{"updateId": "new"}',
  update || '{"updateId": "é"}', update || '{"taskId": "other", "updateId": "é"}')) AS a;
SELECT is(progress -> 'itemsByType', '{"issues": 16, "groups": 1, "projects": 0}',
  'each counts once') FROM tallymark.job
WHERE id = 'job';
SELECT is_empty($$SELECT * FROM tallymark.verify_differences('job')$$, 'and the job verifies');
SELECT is(tallymark.merge_progress('job', '{"updateId": "é", "status": "started", "timestamp": "2025-01-06T10:00:00Z"}')
  -> 'resume' -> 'itemsByType' -> 'issues', '16', 'a restarted crawler gets its resume point');

SELECT * FROM finish();
ROLLBACK;
