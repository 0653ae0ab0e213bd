-- Where any column of the row differs from the ledger, verify_job is false and verify_differences names it.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(30);
\ir ../helpers.psql

DO $$ BEGIN PERFORM pg_temp.make_job_of_every_sort(); END $$;
CREATE FUNCTION pg_temp.update_row(change text) RETURNS text LANGUAGE sql
RETURN pg_temp.differences(format($$ UPDATE tallymark.job SET %s WHERE id = 'job' $$, change));

SELECT is(pg_temp.differences('SELECT'), 'true', 'as it is, the row is what the ledger says');
SELECT is(pg_temp.update_row(c.change), 'false ' || c.field, c.change)
FROM (VALUES
  (1, 'status = ''running''', 'status'), (2, 'progress = progress || ''{"processedItems": 108}''', 'processedItems'),
  (3, 'progress = progress || ''{"totalItems": 501}''', 'totalItems'), (4, 'progress = progress || ''{"more": 1}''',
    'more'),
  (5, 'progress = progress - ''message''', 'message'), (6, 'progress = progress - ''errorTimestamp''',
    'errorTimestamp'),
  (7, 'progress = progress || ''{"itemsByType": {"issues": 81}}''', 'itemsByType'),
  (8, 'progress = ''{}''', 'error, errorTimestamp, itemsByType, message, processedItems, stage, totalItems'),
  (9, 'resume_state = ''{}''', 'resume_state'), (10, 'workers = NULL', 'workers'), (11, 'facets = ''{}''', 'facets'),
  (12, 'newest_at = newest_at + ''1s''::interval', 'newest_at'), (13, 'newest_key = ''=z''', 'newest_key'),
  (14, 'newest_fields = ''{a}''', 'newest_fields'), (15, 'clocks = ''{}''', 'clocks'), (16, 'last_seq = 7', 'last_seq'),
  (17, 'started_at = now()', 'started_at'), (18, 'finished_at = NULL', 'finished_at'),
  (19, 'status = ''failed'', finished_at = now()', 'finished_at, status'),
  (20, 'requested_command = ''pause''', 'requested_command'),
  (21, 'command_seq = 1', 'command_seq')) AS c (number, change, field)
ORDER BY c.number;
SELECT is(pg_temp.update_row(c.change), 'true', c.change || ' is not the updates'' business')
FROM (VALUES (1, 'attributes = ''{"a": 1}'''),
  (2, 'updated_at = now() + ''1d''::interval'),
  (3, 'created_at = now() - ''1d''::interval')) AS c (number, change)
ORDER BY c.number;

UPDATE tallymark.job SET progress = progress || '{"processedItems": 999, "totalItems": 1}' WHERE id = 'job';
SELECT is(tallymark.verify_job('job'), false, 'a row that stays tampered with is found');
SELECT results_eq($$ SELECT * FROM tallymark.verify_differences('job') $$,
  $$ VALUES (1::bigint, 'totalItems', '1'::jsonb, '500'::jsonb), (4, 'processedItems', '999', '107') $$,
  'the difference tells the newest event that gave the field, what is stored and what the ledger says');
SELECT is(progress -> 'processedItems', '999', 'and it repairs nothing') FROM tallymark.job WHERE id = 'job';
DO $$ BEGIN PERFORM tallymark.create_job('queued'); END $$;
SELECT ok(tallymark.verify_job('queued'), 'a job without events is what its empty ledger says');
SELECT is(count(*), 0::bigint, 'with no difference') FROM tallymark.verify_differences('queued');

SELECT * FROM finish();
ROLLBACK;
