-- A reader of a timeline learns from prunedSeq that it does not begin with the first event.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(3);

SELECT tallymark.create_job('job');
SELECT tallymark.merge_progress('job', jsonb_build_object('updateId', n::text)) FROM generate_series(1, 3) AS n;
SELECT is(tallymark.timeline_page('job') -> 'prunedSeq', NULL, 'nothing was pruned');
SELECT tallymark.prune_job('job', 'infinity', 1);
SELECT is(p -> 'prunedSeq' || (p #> '{events,0,seq}'), '[2, 3]', 'from the beginning')
FROM tallymark.timeline_page('job') AS p;
SELECT is(p -> 'prunedSeq' || (p #> '{events,0,seq}'), '[2, 3]', 'and from the end')
FROM tallymark.timeline_before_page('job') AS p;

SELECT * FROM finish();
ROLLBACK;
