-- Neither writers nor readers may prune, and an unknown job is refused.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(5);

SELECT throws_ok($$SELECT tallymark.prune_job('no such job', now())$$, 'TK404', NULL, 'an unknown job');
SELECT throws_ok($$SELECT tallymark.prune_job(NULL, now())$$, 'TK400', NULL, 'none');
SELECT tallymark.create_job('job');
SELECT is(tallymark.prune_job('job', NULL) -> 'events', '0', 'no time: nothing is old');
SELECT tallymark.merge_progress('job', '{}');
SELECT is(tallymark.prune_job('job', NULL, 0) -> 'events', '0', 'also where there are events');
SELECT is(has_function_privilege('tallymark_writer', f, 'EXECUTE')
  OR has_function_privilege('tallymark_reader', f, 'EXECUTE'), false, 'writers and readers may not')
FROM CAST('tallymark.prune_job(text, timestamptz, integer, integer)' AS regprocedure) AS f;

SELECT * FROM finish();
ROLLBACK;
