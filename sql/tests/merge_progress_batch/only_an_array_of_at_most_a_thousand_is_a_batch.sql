-- An invalid batch is refused as a whole, before anything is merged.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(14);

DO $$ BEGIN PERFORM tallymark.create_job('job'); END $$;
CREATE FUNCTION pg_temp.batch(updates integer) RETURNS jsonb LANGUAGE sql AS $$
  SELECT coalesce(jsonb_agg(jsonb_build_object('taskId', 'job', 'updateId', g.n::text)), '[]') FROM generate_series(1,
    $1) AS g (n)
$$;
SELECT throws_ok(format('SELECT tallymark.merge_progress_batch(%L)', c.body), 'TK400', 'Invalid request body',
  coalesce(c.body, 'nothing at all') || ' is no batch')
FROM (VALUES (1, '{"taskId": "job"}'), (2, 'null'), (3, '"[]"'), (4, '7'), (5, NULL)) AS c (number, body) ORDER BY
  c.number;
SELECT throws_ok('SELECT tallymark.merge_progress_batch(pg_temp.batch(1001))', 'TK413', 'Too many updates',
  '1001 are too many');
SELECT throws_ok('SELECT tallymark.receive_progress(pg_temp.batch(1001))', 'TK413', 'Too many updates',
  'over HTTP, too');
SELECT is(last_seq, 0::bigint, 'nothing was merged') FROM tallymark.job WHERE id = 'job';
SELECT is(tallymark.merge_progress_batch('[]'), '[]', 'an empty batch has no results');
SELECT is(tallymark.receive_progress('[]'), '[]', 'over HTTP, too');
SELECT is(tallymark.receive_progress('[]', 'key', 'prefix'), '[]', 'for any caller');
SELECT is(jsonb_array_length(tallymark.merge_progress_batch(pg_temp.batch(1000))), 1000, '1000 are accepted');
SELECT is(last_seq, 1000::bigint, 'all of them') FROM tallymark.job WHERE id = 'job';
SELECT ok(tallymark.verify_job('job'), 'the ledger folds to the state');

SELECT * FROM finish();
ROLLBACK;
