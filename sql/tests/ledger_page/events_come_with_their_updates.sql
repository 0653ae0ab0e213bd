-- Events come in the order of their numbers, page by page, to the last one.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(4);

SELECT tallymark.create_job('job');
SELECT tallymark.merge_progress('job', jsonb_build_object('updateId', n::text, 'message', 'm' || n))
FROM generate_series(1, 3) AS n;
SELECT results_eq($$SELECT seq, event #>> '{payload,message}' FROM tallymark.ledger_page('job', 0, 2)$$,
  $$VALUES (1::bigint, 'm1'), (2, 'm2')$$, 'the first page');
SELECT results_eq($$SELECT seq, event ->> 'update_key' FROM tallymark.ledger_page('job', 2)$$,
  $$VALUES (3::bigint, '=3')$$, 'the last one');
SELECT is_empty($$SELECT * FROM tallymark.ledger_page('job', 3)$$, 'and no more');
SELECT throws_ok($$SELECT tallymark.ledger_page('no such job')$$, 'TK404', NULL, 'an unknown job');

SELECT * FROM finish();
ROLLBACK;
