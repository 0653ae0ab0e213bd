-- A reader may select from the views and from nothing else, and nobody may write through them.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(34);
\ir ../helpers.psql

CREATE ROLE tallymark_test_nobody;
-- With everything that the columns look into.
DO $$ BEGIN
  PERFORM pg_temp.make_job_of_every_sort();
  PERFORM tallymark.merge_progress('job', u.value) FROM jsonb_array_elements('[
    {"updateId": "1", "error": {"type": "T", "message": "m", "context": {"a": null}}, "stage": "next"},
    {"updateId": "2", "error": "text"},
    {"updateId": "3", "areas": [{"type": "group", "fullPath": "g"}], "status": "new_areas_discovered"},
    {"updateId": "4", "credentialStatus": {"type": "token", "message": null}, "status": "credential_expiry"}]') AS u;
  PERFORM tallymark.request_command('job', 'pause', 'alice');
  PERFORM tallymark.raise_alerts();
END $$;

SELECT is(pg_temp.outcome_as(r.role, 'SELECT count(v::text) FROM tallymark.' || v.name || ' AS v'),
  CASE WHEN r.role IN ('tallymark_reader', 'tallymark_admin') THEN 'done' ELSE '42501' END,
  r.role || CASE WHEN r.role IN ('tallymark_reader', 'tallymark_admin') THEN ' may' ELSE ' may not' END
    || ' select all columns of ' || v.name)
FROM unnest('{jobs,events,current_alerts}'::text[]) AS v (name)
CROSS JOIN unnest('{tallymark_reader,tallymark_admin,tallymark_writer,tallymark_test_nobody}'::text[]) AS r (role);

SELECT is(pg_temp.outcome_as(r.role, c.statement), '42501', r.role || ' may not ' || c.statement)
FROM (VALUES ('SELECT FROM tallymark.job'), ('SELECT FROM tallymark.job_event'),
  ('UPDATE tallymark.jobs SET status = ''x'''), ('DELETE FROM tallymark.jobs'), ('DELETE FROM tallymark.events'),
  ('INSERT INTO tallymark.jobs (id) VALUES (''x'')'),
  ('CREATE VIEW tallymark.mine AS SELECT 1'),
  ('SELECT FROM tallymark.jobs FOR UPDATE'),
  ('TRUNCATE tallymark.job_event'), ('COMMENT ON VIEW tallymark.jobs IS ''x'''),
  ('ALTER VIEW tallymark.jobs SET (security_invoker)')) AS c (statement)
CROSS JOIN unnest('{tallymark_reader,tallymark_admin}'::text[]) AS r (role);

SELECT * FROM finish();
ROLLBACK;
