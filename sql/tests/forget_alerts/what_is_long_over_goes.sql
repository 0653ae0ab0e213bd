-- Alerts that were closed, or have been open, for months are deleted, except mismatches.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(2);

-- What a database in use has of such alerts is back after the rollback.
SELECT tallymark.forget_alerts();
SELECT tallymark.create_job('job');
INSERT INTO tallymark.alert (job_id, kind, facts, opened_at, recovered_at) VALUES
  ('job', 'stalled', '{}', now() - interval '200 days', now() - interval '100 days'),
  ('job', 'failed', '{}', now() - interval '200 days', now() - interval '80 days'),
  ('job', 'errors', '{}', now() - interval '200 days', NULL),
  ('job', 'mismatch', '{}', now() - interval '200 days', NULL);
SELECT is(tallymark.forget_alerts(), 2::bigint, 'one that is over, one that has been open for long');
SELECT set_eq($$SELECT kind FROM tallymark.list_alerts(false, id_prefix => 'job') WHERE job_id = 'job'$$, $$VALUES ('failed'), ('mismatch')$$, 'the others stay');

SELECT * FROM finish();
ROLLBACK;
