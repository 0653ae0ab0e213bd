-- A job that is silent and should not be is told apart from one that has ended, is paused, or was never reported on.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(7);
\ir ../helpers.psql

INSERT INTO tallymark.job (id, status, last_seq, updated_at, created_at, finished_at, pruned_seq)
SELECT 'P ' || j.id, j.status, j.last, now() - j.silent, now() - interval '1 day', now() - j.silent, j.pruned
FROM (VALUES ('running', 'running', 9, interval '1 s', 0), ('silent', 'running', 9, interval '1 h', 0),
  ('failed', 'failed', 9, '1 h', 0), ('finished', 'finished', 9, '1 h', 0), ('paused', 'paused', 9, '1 h', 0),
  ('new', 'queued', 0, '0', 0), ('old', 'running', 9, '1 h', 9)) AS j (id, status, last, silent, pruned);
INSERT INTO tallymark.job_event (job_id, seq, event, occurred_at, recorded_at, payload)
SELECT j.id, n, 'x', '2025-01-06', j.updated_at - (9 - n) * interval '1 s', '{}'
FROM tallymark.job AS j, generate_series(j.pruned_seq + 1, j.last_seq) AS n WHERE j.id LIKE 'P %';

SELECT is((SELECT string_agg(concat_ws(' ', f ->> 'code', f ->> 'severity'), ', ')
    FROM jsonb_array_elements(tallymark.diagnose_progress(pg_temp.row_of(j.id), tallymark.update_figures(j.id, 100))) AS f), c.codes, j.id)
FROM (VALUES ('running', 'last_update ok, heard_of ok'), ('silent', 'last_update ok, silent problem'),
  ('failed', 'last_update ok, failed problem'), ('finished', 'last_update ok, ended ok'),
  ('paused', 'last_update ok, not_running ok'), ('new', 'never_reported warning'), ('old', 'all_pruned note'))
  AS c (id, codes) CROSS JOIN LATERAL (SELECT 'P ' || c.id AS id) AS j ORDER BY j.id COLLATE "C";

SELECT * FROM finish();
ROLLBACK;
