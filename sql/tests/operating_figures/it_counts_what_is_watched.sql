-- The figures are jobs by status, stalled jobs, open alerts, outcomes of verification, and sizes.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(6);

DO $$
BEGIN
  PERFORM tallymark.create_job(id) FROM unnest('{queued,failed,silent}'::text[]) AS j (id);
  PERFORM tallymark.merge_progress('failed', '{"status": "failed"}');
  PERFORM tallymark.merge_progress('silent', '{}');
  UPDATE tallymark.job SET updated_at = updated_at - interval '2 hours' WHERE id = 'silent';
  UPDATE tallymark.job_event SET recorded_at = recorded_at - interval '2 hours' WHERE job_id = 'silent';
  PERFORM tallymark.raise_alerts();
  PERFORM tallymark.note_verification('failed');
END
$$;
CREATE TEMPORARY TABLE figures AS SELECT tallymark.operating_figures() AS f;
SELECT is(f #> '{jobs,failed}', '1', 'a job has failed') FROM figures;
SELECT is(f #> '{jobs,queued}', '1', 'nobody has reported on one') FROM figures;
SELECT is(f -> 'stalled', '1', 'one is silent') FROM figures;
SELECT is(f -> 'alerts', '{"failed": 1, "stalled": 1}', 'which are alerts') FROM figures;
SELECT is((f -> 'checks') - '{oldestSeconds,newestSeconds}'::text[], '{"exact": 1, "differing": 0}', 'one was verified')
FROM figures;
SELECT ok((f #> '{tables,job_event,bytes}')::bigint > 0, 'the ledger has a size') FROM figures;

SELECT * FROM finish();
ROLLBACK;
