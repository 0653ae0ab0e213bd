-- The keys of a job's items come for an archive page by page, each once.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(5);
\ir ../helpers.psql

DO $$
BEGIN
  PERFORM tallymark.create_job('job');
  PERFORM tallymark.merge_progress('job', '{"updateId": "1", "itemKeys": {"pages": ["a", "b"], "issues": ["a"]}}');
  PERFORM tallymark.merge_progress('job', '{"updateId": "2", "itemKeys": {"pages": ["c"]}}');
END
$$;
SELECT results_eq($$SELECT type, encode(key_digest, 'hex'), seq FROM tallymark.item_page('job', max_items => 3)$$,
  $$VALUES ('issues', 'ca978112ca1bbdcafac231b39a23dc4d', 1::bigint),
    ('pages', '2e7d2c03a9507ae265ecf5b5356885a5', 2), ('pages', '3e23e8160039594a33894f6564e1b134', 1)$$,
  'the first page');
SELECT results_eq($$SELECT encode(key_digest, 'hex')
    FROM tallymark.item_page('job', 'pages', '\x3e23e8160039594a33894f6564e1b134')$$,
  $$VALUES ('ca978112ca1bbdcafac231b39a23dc4d')$$, 'the last one');
SELECT is_empty($$SELECT * FROM tallymark.item_page('job', 'pages', '\xca978112ca1bbdcafac231b39a23dc4d')$$, 'and no more');
SELECT throws_ok($$SELECT tallymark.item_page('no such job')$$, 'TK404', NULL, 'an unknown job');
SELECT is(pg_temp.outcome_as('tallymark_admin', $$SELECT tallymark.item_page('job')$$)
  || pg_temp.outcome_as('tallymark_writer', $$SELECT tallymark.item_page('job')$$)
  || pg_temp.outcome_as('tallymark_reader', $$SELECT tallymark.item_page('job')$$), 'done4250142501', 'only an admin may');

SELECT * FROM finish();
ROLLBACK;
