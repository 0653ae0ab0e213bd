-- The job before the last pruned event cannot be given any more, and the refusal says so.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(5);

SELECT tallymark.create_job('job');
SELECT tallymark.merge_progress('job', jsonb_build_object('updateId', n::text, 'processedItems', n))
FROM generate_series(1, 5) AS n;
SELECT tallymark.prune_job('job', 'infinity', 2);
SELECT is(tallymark.job_at('job', 3) #> '{progress,processedItems}', '3', 'at the baseline');
SELECT is(tallymark.job_at('job', 4) #> '{progress,processedItems}', '4', 'behind it');
SELECT throws_ok($$SELECT tallymark.job_at('job', 2)$$, 'TK400', NULL, 'before it');
SELECT throws_ok($$SELECT tallymark.job_at('job', 0)$$, 'TK400', NULL, 'at the beginning');
SELECT results_eq($$SELECT seq, value FROM tallymark.accumulation_history('job', 'processedItems')$$,
  $$VALUES (4::bigint, '4'::jsonb), (5, '5')$$, 'the history of a field goes on from there');

SELECT * FROM finish();
ROLLBACK;
