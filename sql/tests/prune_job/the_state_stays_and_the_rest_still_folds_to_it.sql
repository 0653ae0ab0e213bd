-- Events are folded into a baseline, part by part. The job stays as it is and verifies, in whatever order the updates
-- came.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(11);

DO $$
BEGIN
  PERFORM tallymark.create_job('job');
  PERFORM tallymark.merge_progress('job', '{"updateId": "1", "status": "started", "timestamp": "2025-01-06T10:00:00Z",
    "stage": "s1", "workerId": "w", "processedItems": 4, "itemsByType": {"issues": 4}}');
  PERFORM tallymark.merge_progress('job', '{"updateId": "2", "timestamp": "2025-01-06T10:05:00Z", "stage": "s2",
    "areas": [{"fullPath": "g", "type": "group", "name": "new"}]}');
  PERFORM tallymark.request_command('job', 'pause');
  PERFORM tallymark.merge_progress('job', '{"updateId": "3", "timestamp": "2025-01-06T10:01:00Z", "message": "late",
    "timeline": [{"event": "own", "timestamp": "2025-01-06T10:01:00Z"}],
    "areas": [{"fullPath": "g", "type": "project", "name": "old"}, {"fullPath": "h", "type": "group"}]}');
  PERFORM tallymark.merge_progress('job', '{"updateId": "4", "timestamp": "2025-01-06T10:02:00Z", "error": "boom",
    "workerId": "w", "processedItems": 9, "itemsByType": {"issues": 5}, "progress": {"page": 1}}');
END
$$;
CREATE TEMPORARY TABLE before AS
SELECT to_jsonb(j) - 'pruned_seq' AS job FROM tallymark.job AS j WHERE j.id = 'job';

SELECT is(tallymark.prune_job('job', '2000-01-01'),
  '{"id": "job", "events": 0, "prunedSeq": 0, "more": false}', 'nothing is that old');
SELECT is(tallymark.prune_job('job', 'infinity'),
  '{"id": "job", "events": 0, "prunedSeq": 0, "more": false}', 'of few events all are among the newest');
SELECT is(tallymark.prune_job('job', 'infinity', 1, 2),
  '{"id": "job", "events": 2, "prunedSeq": 2, "more": true}', 'a part is taken');
SELECT is(tallymark.prune_job('job', 'infinity', 1, 2),
  '{"id": "job", "events": 2, "prunedSeq": 4, "more": true}', 'then the next, with a command that nobody obeyed');
SELECT is(tallymark.prune_job('job', 'infinity', 1, 2),
  '{"id": "job", "events": 1, "prunedSeq": 5, "more": false}', 'and the rest but the newest');
SELECT is(ARRAY(SELECT e.seq FROM tallymark.job_event AS e WHERE e.job_id = 'job' ORDER BY 1), '{6}', 'it is all that is left');
SELECT is((SELECT to_jsonb(j) - 'pruned_seq' FROM tallymark.job AS j WHERE j.id = 'job'), (SELECT job FROM before),
  'the job is as it was');
SELECT is_empty($$SELECT * FROM tallymark.verify_differences('job')$$, 'and is the fold of what is left');
SELECT is((SELECT array_agg(p.seq ORDER BY p.seq) FROM tallymark.pruned_update AS p WHERE p.job_id = 'job'), '{1,2,4}',
  'the keys of the updates stay, with the numbers of their events');

SELECT is(tallymark.merge_progress('job', '{"updateId": "5", "timestamp": "2025-01-06T10:06:00Z", "status": "paused",
  "areas": [{"fullPath": "g", "type": "group"}]}') -> 'command', 'null'::jsonb, 'the command is obeyed later on');
SELECT is_empty($$SELECT * FROM tallymark.verify_differences('job')$$, 'and it all goes on from there');

SELECT * FROM finish();
ROLLBACK;
