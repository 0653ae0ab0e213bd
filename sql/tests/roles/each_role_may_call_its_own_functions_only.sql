-- A writer reports and cannot read, a reader reads and cannot report, an admin does both. No other user may do
-- anything, and none of the roles has access to a table.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(136);
\ir ../helpers.psql

CREATE ROLE tallymark_test_nobody;
DO $$ BEGIN PERFORM tallymark.create_job('job'); END $$;

SELECT is(pg_temp.outcome_as(r.role, 'SELECT * FROM tallymark.' || c.call),
  CASE WHEN r.role IN ('tallymark_admin', c.role) THEN 'done' ELSE '42501' END,
  r.role || CASE WHEN r.role IN ('tallymark_admin', c.role) THEN ' may ' ELSE ' may not ' END || 'call ' || c.call)
FROM (VALUES (1, 'tallymark_writer', 'create_job(''a job'')'), (2, 'tallymark_writer',
  'merge_progress(''job'', ''{}'')'),
  (3, 'tallymark_writer', 'receive_progress(''{"taskId": "job", "status": "paused", "timestamp": "2025-01-06"}'')'),
  (4, 'tallymark_writer', 'receive_job(''{"taskId": "job"}'')'), (5, 'tallymark_reader', 'get_job(''job'')'),
  (6, 'tallymark_reader', 'timeline(''job'')'), (7, 'tallymark_reader', 'timeline_page(''job'')'),
  (8, 'tallymark_reader', 'verify_job(''job'')'), (9, 'tallymark_reader', 'verify_differences(''job'')'),
  (10, 'tallymark_reader', 'progress_percentage(''{}'')'), (11, 'tallymark_reader',
    'progress_summary(''{"totalItems": 5}'')'),
  (12, 'tallymark_reader', 'job_status(''paused'')'), (13, 'tallymark_reader', 'is_terminal(''paused'')'),
  (14, 'tallymark_reader', 'processed_items(''{}'')'),
  (15, 'tallymark_writer', 'unseen_items(''job'', ''pages'', ''{a}'')'),
  (16, 'tallymark_writer', 'receive_unseen(''{"type": "pages", "keys": []}'', ''job'')'),
  (17, 'tallymark_writer', 'note_alive(''job'')'), (18, 'tallymark_writer', 'receive_alive(''{}'', ''job'')'),
  (19, 'tallymark_writer', 'receive_for_job(''job'', ''{}'', ''{}'', ''{}'', false, 9, false)'),
  (20, 'tallymark_reader', 'progress_books(''{}'')'), (21, 'tallymark_reader', 'progress_shortfall(''finished'', ''{}'')'),
  (22, 'tallymark_reader', 'progress_extent(''{}'')'), (23, 'tallymark_reader', 'percentage_of(1, 2)'))
    AS c (number, role, call)
CROSS JOIN unnest('{tallymark_writer,tallymark_reader,tallymark_admin,tallymark_test_nobody}'::text[]) AS r (role)
ORDER BY c.number;
SELECT is(pg_temp.outcome_as(r.role, c.statement), '42501', r.role || ' may not ' || c.statement)
FROM (VALUES (1, 'INSERT INTO tallymark.job (id) VALUES (''x'')'), (2, 'UPDATE tallymark.job SET progress = ''{}'''),
  (3, 'DELETE FROM tallymark.job'), (4, 'TRUNCATE tallymark.job'),
  (5, 'INSERT INTO tallymark.job_event (job_id, seq, event, occurred_at) VALUES (''job'', 9, ''x'', now())'),
  (6, 'UPDATE tallymark.job_event SET payload = NULL'), (7, 'DELETE FROM tallymark.job_event'), (8,
    'TRUNCATE tallymark.job_event'),
  (9, 'DROP TABLE tallymark.job_event'), (10, 'CREATE TABLE tallymark.more ()'),
  (11, 'SELECT tallymark.merge_state(NULL, NULL, NULL, NULL)')) AS c (number, statement)
CROSS JOIN unnest('{tallymark_writer,tallymark_reader,tallymark_admin,tallymark_test_nobody}'::text[]) AS r (role)
ORDER BY c.number;

SELECT * FROM finish();
ROLLBACK;
