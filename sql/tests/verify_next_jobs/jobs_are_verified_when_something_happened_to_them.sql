-- Jobs are verified a part at a time, in the order of their ids, and each again when it has changed.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(9);
\ir ../helpers.psql

-- Nobody else's jobs come after these.
CREATE FUNCTION pg_temp.mine(name text DEFAULT '') RETURNS text LANGUAGE sql IMMUTABLE
RETURN U&'\+10FFFF' || name;
-- What verify_next_jobs says of these jobs, without what their ids have in common.
CREATE FUNCTION pg_temp.verified(after text DEFAULT '', most_events bigint DEFAULT 20000, max_jobs integer DEFAULT 1000)
RETURNS jsonb LANGUAGE sql AS $$
  SELECT replace(tallymark.verify_next_jobs(pg_temp.mine(after), most_events, max_jobs)::text, pg_temp.mine(), '')::jsonb
$$;

DO $$
BEGIN
  PERFORM tallymark.create_job(pg_temp.mine(j.name)),
    tallymark.merge_progress(pg_temp.mine(j.name), '{"updateId": "1"}'),
    tallymark.merge_progress(pg_temp.mine(j.name), '{"updateId": "2"}')
  FROM unnest('{a,b,c}'::text[]) AS j (name);
  UPDATE tallymark.job SET last_seq = 3 WHERE id = pg_temp.mine('b');
END
$$;
SELECT is(pg_temp.verified('', 5), '{"checked": 2, "differing": ["b"], "skipped": 0, "next": "b"}',
  'two jobs');
SELECT is(pg_temp.verified('b', 1), '{"checked": 1, "differing": [], "skipped": 0, "next": null}',
  'the next job, although it has more than most_events events');
SELECT is(pg_temp.verified(), '{"checked": 1, "differing": ["b"], "skipped": 0, "next": null}',
  'then only the job that differed');
UPDATE tallymark.job SET last_seq = 2 WHERE id = pg_temp.mine('b');
SELECT tallymark.merge_progress(pg_temp.mine('c'), '{"updateId": "3"}');
SELECT is(pg_temp.verified(), '{"checked": 2, "differing": [], "skipped": 0, "next": null}',
  'and one that has changed');
SELECT is(pg_temp.verified(max_jobs => 1), '{"checked": 0, "differing": [], "skipped": 0, "next": "a"}',
  'an unchanged job is skipped');
SELECT results_eq($$SELECT replace(job_id, pg_temp.mine(), ''), events, exact, difference FROM tallymark.job_check
  WHERE job_id >= pg_temp.mine() ORDER BY job_id$$,
  $$VALUES ('a' COLLATE "C", 2::bigint, true, NULL::jsonb), ('b', 2, true, NULL), ('c', 3, true, NULL)$$,
  'the outcome is stored');
SELECT pg_temp.move('job_check', 'checked_at', '-2 days', $c$job_id = pg_temp.mine('b')$c$);
UPDATE tallymark.job SET status = 'queued' WHERE id = pg_temp.mine('b');
SELECT is(pg_temp.verified() -> 'differing', '["b"]', 'after again_after all are verified again');
SELECT is(pg_temp.verified('zzz'), '{"checked": 0, "differing": [], "skipped": 0, "next": null}',
  'after the last job');
SELECT throws_ok($$SELECT tallymark.note_verification('no such job')$$, 'TK404', NULL, 'an unknown job');

SELECT * FROM finish();
ROLLBACK;
