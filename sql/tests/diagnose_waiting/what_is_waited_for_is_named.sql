-- A job that does not proceed may be waiting for its crawler to obey, for credentials, or for updates that are not
-- refused.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(6);
\ir ../helpers.psql

INSERT INTO tallymark.job (id, status, last_seq, updated_at, requested_command, command_seq, newest_at)
SELECT 'W ' || j.id, j.status, 9, now() - interval '2 min', j.command, j.command_seq, now()
FROM (VALUES ('nothing', 'running', NULL, NULL), ('asked', 'running', 'pause', 9), ('deaf', 'running', 'pause', 2),
  ('locked', 'credential_expired', NULL, NULL), ('refused', 'running', NULL, NULL), ('over', 'finished', NULL, NULL))
  AS j (id, status, command, command_seq);
INSERT INTO tallymark.job_intake (job_id, outcome, code, times, first_at, last_at, last_problem)
SELECT 'W ' || id, 'refused', 'TK400', 3, now() - interval '1 h', now(), 'no' FROM unnest('{refused,over}'::text[]) AS id;

SELECT is((SELECT string_agg(concat_ws(' ', f ->> 'code', f ->> 'severity'), ', ')
    FROM jsonb_array_elements(tallymark.diagnose_waiting(pg_temp.row_of(j.id), '{"errors": 0}')) AS f), c.codes, j.id)
FROM (VALUES ('nothing', 'no_errors ok'), ('asked', 'command_waiting note, no_errors ok'),
  ('deaf', 'command_waiting warning, no_errors ok'), ('locked', 'credentials problem, no_errors ok'),
  ('refused', 'only_refused problem, no_errors ok'), ('over', 'no_errors ok'))
  AS c (id, codes) CROSS JOIN LATERAL (SELECT 'W ' || c.id AS id) AS j ORDER BY j.id COLLATE "C";

SELECT * FROM finish();
ROLLBACK;
