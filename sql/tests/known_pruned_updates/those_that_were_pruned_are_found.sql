-- The numbers of those updates of a batch are returned whose events were pruned.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(2);

DO $$
BEGIN
  PERFORM tallymark.create_job(id) FROM unnest('{a,b}'::text[]) AS j (id);
  PERFORM tallymark.merge_progress(id, '{"updateId": "1"}') FROM unnest('{a,b}'::text[]) AS j (id);
  PERFORM tallymark.prune_job('a', 'infinity', 0);
END
$$;
CREATE TEMPORARY VIEW batch AS
SELECT tallymark.judge_batch('[{"taskId": "a", "updateId": "1"}, {"taskId": "a", "updateId": "2"},
  {"taskId": "b", "updateId": "1"}, {"taskId": "c", "updateId": "1"}]', '{}', '') AS updates;
SELECT is(tallymark.known_pruned_updates(updates, ARRAY(SELECT j FROM tallymark.job AS j WHERE j.id IN ('a', 'b'))), '{1}',
  'the first one') FROM batch;
SELECT is(tallymark.known_pruned_updates(updates, '{}'), '{}', 'none of jobs that are not there') FROM batch;

SELECT * FROM finish();
ROLLBACK;
