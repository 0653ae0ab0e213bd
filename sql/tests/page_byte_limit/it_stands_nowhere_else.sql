-- The size at which a page ends stands in one function, and all that make pages ask it.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(3);

SELECT is(tallymark.page_byte_limit(), 16 * 1024 * 1024, '16 MB');
SELECT is(ARRAY(SELECT p.proname::text FROM pg_proc AS p WHERE p.pronamespace = 'tallymark'::regnamespace
  AND coalesce(p.prosrc, '') || coalesce(pg_get_function_sqlbody(p.oid), '') ~ '16777216|16 \* 1024 \* 1024'),
  '{page_byte_limit}', 'no other function has the number');
SELECT set_eq($$SELECT p.proname::text FROM pg_proc AS p WHERE p.pronamespace = 'tallymark'::regnamespace
  AND p.prosrc LIKE '%tallymark.page_byte_limit()%'$$,
  '{accumulation_history,family,history_page,job_changes,ledger_page,list_jobs,newest_events,newest_jobs,timeline_rows,verify_page}'::text[],
  'and these ask for it');

SELECT * FROM finish();
ROLLBACK;
