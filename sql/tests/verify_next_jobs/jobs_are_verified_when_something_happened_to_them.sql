-- Jobs are verified a part at a time, in the order of their ids, and each again when it has changed.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(9);

DO $$
BEGIN
  PERFORM tallymark.create_job(id), tallymark.merge_progress(id, '{"updateId": "1"}'),
    tallymark.merge_progress(id, '{"updateId": "2"}')
  FROM unnest('{a,b,c}'::text[]) AS j (id);
  UPDATE tallymark.job SET last_seq = 3 WHERE id = 'b';
END
$$;
SELECT is(tallymark.verify_next_jobs('', 5), '{"checked": 2, "differing": ["b"], "skipped": 0, "next": "b"}',
  'two jobs');
SELECT is(tallymark.verify_next_jobs('b', 1), '{"checked": 1, "differing": [], "skipped": 0, "next": null}',
  'the next job, although it has more than most_events events');
SELECT is(tallymark.verify_next_jobs(), '{"checked": 1, "differing": ["b"], "skipped": 0, "next": null}',
  'then only the job that differed');
UPDATE tallymark.job SET last_seq = 2 WHERE id = 'b';
SELECT tallymark.merge_progress('c', '{"updateId": "3"}');
SELECT is(tallymark.verify_next_jobs(), '{"checked": 2, "differing": [], "skipped": 0, "next": null}',
  'and one that has changed');
SELECT is(tallymark.verify_next_jobs(max_jobs => 1), '{"checked": 0, "differing": [], "skipped": 0, "next": "a"}',
  'an unchanged job is skipped');
SELECT results_eq('SELECT job_id, events, exact, difference FROM tallymark.job_check ORDER BY 1',
  $$VALUES ('a' COLLATE "C", 2::bigint, true, NULL::jsonb), ('b', 2, true, NULL), ('c', 3, true, NULL)$$,
  'the outcome is stored');
UPDATE tallymark.job_check SET checked_at = checked_at - interval '2 days' WHERE job_id = 'b';
UPDATE tallymark.job SET status = 'queued' WHERE id = 'b';
SELECT is(tallymark.verify_next_jobs() -> 'differing', '["b"]', 'after again_after all are verified again');
SELECT is(tallymark.verify_next_jobs('zzz'), '{"checked": 0, "differing": [], "skipped": 0, "next": null}',
  'after the last job');
SELECT throws_ok($$SELECT tallymark.note_verification('no such job')$$, 'TK404', NULL, 'an unknown job');

SELECT * FROM finish();
ROLLBACK;
