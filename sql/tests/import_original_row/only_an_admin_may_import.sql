-- Taking over the original's jobs is an admin's work.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(8);
\ir ../helpers.psql

CREATE ROLE tallymark_test_nobody;
SELECT is(pg_temp.outcome_as(r.role, c.call), CASE r.role WHEN 'tallymark_admin' THEN 'done' ELSE '42501' END,
  r.role || CASE r.role WHEN 'tallymark_admin' THEN ' may ' ELSE ' may not ' END || c.call)
FROM (VALUES (1, 'SELECT tallymark.import_original_row(''{"id": "job", "status": "running"}'')'),
  (2, 'SELECT tallymark.import_original_job(''job'', ''running'', ''{}'', NULL, NULL, NULL, NULL)')) AS c (number, call)
CROSS JOIN unnest('{tallymark_writer,tallymark_reader,tallymark_admin,tallymark_test_nobody}'::text[]) AS r (role)
ORDER BY c.number;

SELECT * FROM finish();
ROLLBACK;
