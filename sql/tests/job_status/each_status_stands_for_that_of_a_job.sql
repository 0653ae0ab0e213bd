-- Each status of an update, in any letter case, gives a job status; a status that the protocol does not know gives
-- none.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(39);

SELECT is(tallymark.job_status(f.form), c.job, f.form || ' stands for ' || c.job)
FROM (VALUES ('started', 'running'), ('processing', 'running'), ('completed', 'finished'), ('failed', 'failed'),
  ('paused', 'paused'), ('waiting', 'waiting'),
  ('cancelled', 'cancelled'), ('credential_expiry', 'credential_expired'), ('credential_renewal',
    'waiting_credential_renewal'),
  ('credential_resumed', 'credential_renewed')) AS c (update, job)
CROSS JOIN LATERAL unnest(ARRAY[c.update, upper(c.update), initcap(c.update)]) AS f (form);
SELECT is(tallymark.job_status(c.value), NULL, coalesce('"' || c.value || '"', 'null') || ' is no status of an update')
FROM unnest(ARRAY['', 'finished', 'running', 'queued', 'complete', ' started', 'started ', 'canceled', NULL])
  AS c (value);

SELECT * FROM finish();
ROLLBACK;
