-- One JSON document says whether a job matches its ledger, and where not.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(4);

DO $$
BEGIN
  PERFORM tallymark.create_job(id) FROM unnest('{right,wrong}'::text[]) AS id;
  PERFORM tallymark.merge_progress(id, '{"stage": "s", "processedItems": 5}')
  FROM unnest('{right,wrong}'::text[]) AS id;
  UPDATE tallymark.job SET progress = progress || '{"processedItems": 6}' WHERE id = 'wrong';
END
$$;

SELECT is(tallymark.verify_page('right'), '{"id": "right", "verified": true, "events": 1, "differences": []}',
  'a job that verifies');
SELECT is(tallymark.verify_page('wrong') - 'differences', '{"id": "wrong", "verified": false, "events": 1}',
  'a job that does not');
SELECT is(tallymark.verify_page('wrong') -> 'differences',
  (SELECT jsonb_agg(to_jsonb(d)) FROM tallymark.verify_differences('wrong') AS d), 'with the differences');
SELECT throws_ok($$ SELECT tallymark.verify_page('nobody') $$, 'TK404', NULL, 'an unknown job is refused');

SELECT * FROM finish();
ROLLBACK;
