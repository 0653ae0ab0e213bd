-- Items that were counted by their keys still count once after their events were pruned. A pruned update that comes again
-- gets the counts that it got the first time.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(10);

DO $$
BEGIN
  PERFORM tallymark.create_job('job');
  PERFORM tallymark.merge_progress('job', u.value) FROM jsonb_array_elements('[
    {"updateId": "1", "itemKeys": {"pages": ["a", "b"]}},
    {"updateId": "2", "itemKeys": {"pages": ["b", "c", "d"]}},
    {"updateId": "3", "itemKeys": {"pages": ["d", "e"]}}]') AS u;
  PERFORM tallymark.prune_job('job', 'infinity', 2);
  PERFORM tallymark.prune_job('job', 'infinity', 1);
END
$$;
SELECT is(progress -> 'itemsByType', '{"pages": 5}', 'the counts stay') FROM tallymark.job WHERE id = 'job';
SELECT is((SELECT count(*) FROM tallymark.job_item WHERE job_id = 'job'), 5::bigint, 'and the keys');
SELECT is_empty($$SELECT * FROM tallymark.verify_differences('job')$$, 'and the job verifies');
SELECT is(a -> 'duplicate' || (a -> 'seq') || (a -> 'counted') || (a -> 'seenBefore'),
  '[true, 2, {"pages": 2}, {"pages": 1}]', 'a pruned update gets the answer of the first time')
FROM tallymark.merge_progress('job', '{"updateId": "2", "itemKeys": {"pages": ["b", "c", "d"]}}') AS a;
SELECT is(jsonb_build_array(a #> '{0,counted}', a #> '{0,seenBefore}'), '[{"pages": 2}, {"pages": 1}]', 'in a batch, too')
FROM tallymark.merge_progress_batch('[{"taskId": "job", "updateId": "2", "itemKeys": {"pages": ["b", "c", "d"]}}]') AS a;
SELECT is(jsonb_build_array(a -> 'counted', a -> 'seenBefore'), '[{"pages": 1}, {"pages": 3}]', 'of a new update the pruned keys do not count')
FROM tallymark.merge_progress('job', '{"updateId": "4", "itemKeys": {"pages": ["a", "c", "e", "f"]}}') AS a;
SELECT is(tallymark.unseen_items('job', 'pages', '{g,a,f}'), '{g}', 'nor are they unseen');
SELECT is(tallymark.job_at('job', s.seq) #> '{progress,itemsByType,pages}', s.pages, 'as of event ' || s.seq)
FROM (VALUES (2, '4'::jsonb), (3, '5')) AS s (seq, pages);
SELECT is_empty($$SELECT * FROM tallymark.verify_differences('job')$$, 'and the job still verifies');

SELECT * FROM finish();
ROLLBACK;
