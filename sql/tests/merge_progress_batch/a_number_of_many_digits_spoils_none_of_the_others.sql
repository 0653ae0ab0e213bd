-- PostgreSQL stores 1e-16383 in ten bytes and writes it in 16,385. A small body of such numbers must neither take
-- gigabytes nor affect the other updates of a batch.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(3);

SET LOCAL statement_timeout = '20s';
DO $$ BEGIN PERFORM tallymark.create_job('job'); END $$;
CREATE TEMPORARY TABLE batch AS SELECT ('[{"taskId": "job", "updateId": "a"}, {"taskId": "job", "updateId": "b", "x": ['
  || repeat('1e-16383,', 70000) || '1]}]')::jsonb AS updates;
SELECT lives_ok('SELECT tallymark.merge_progress_batch(updates) FROM batch', 'the batch is taken');
SELECT is(last_seq, 1::bigint, 'with the update that is right, and without the other')
FROM tallymark.job WHERE id = 'job';
SELECT throws_ok($$ SELECT tallymark.merge_progress('job', updates -> 1) FROM batch $$, 'TK400', NULL,
  'which is refused by itself, too');

SELECT * FROM finish();
ROLLBACK;
