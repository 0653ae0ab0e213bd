-- The endpoint, as writer and reader, can check a token that it was shown. It can neither create, list nor revoke
-- tokens, nor read the table, so an attacker who takes over the endpoint gets no token from it. The endpoint counts
-- failed sign-ins and ends sessions, and cannot take that back.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(60);
\ir ../helpers.psql

CREATE ROLE tallymark_test_nobody;
DO $$ BEGIN PERFORM tallymark.create_token('old', '{read}'); END $$;

SELECT is(pg_temp.outcome_as(r.role, c.call), CASE WHEN r.role = ANY (c.roles) THEN 'done' ELSE '42501' END,
  r.role || CASE WHEN r.role = ANY (c.roles) THEN ' may ' ELSE ' may not ' END || c.call)
FROM (VALUES (1, '{tallymark_admin}'::text[], 'SELECT tallymark.create_token(''new'', ''{read}'')'),
  (2, '{tallymark_admin}', 'SELECT * FROM tallymark.list_tokens()'),
  (3, '{tallymark_admin}', 'SELECT tallymark.revoke_token(''old'')'),
  (4, '{tallymark_writer,tallymark_reader,tallymark_admin}', 'SELECT tallymark.check_token('''')'),
  (5, '{tallymark_writer,tallymark_reader,tallymark_admin}', 'SELECT tallymark.has_tokens()'),
  (6, '{}', 'SELECT name FROM tallymark.api_token'),
  (7, '{}', 'INSERT INTO tallymark.api_token (name, digest, scopes) VALUES (''x'', '''', ''{admin}'')'),
  (8, '{}', 'UPDATE tallymark.api_token SET scopes = ''{admin}'''),
  (9, '{}', 'DELETE FROM tallymark.api_token'),
  (10, '{tallymark_writer,tallymark_admin}', 'SELECT tallymark.sign_in_wait(''x'')'),
  (11, '{tallymark_writer,tallymark_admin}', 'SELECT tallymark.note_failed_sign_in(''x'')'),
  (12, '{}', 'DELETE FROM tallymark.sign_in'),
  (13, '{tallymark_writer,tallymark_admin}', 'SELECT tallymark.end_session(sha256(''x''), 60)'),
  (14, '{tallymark_writer,tallymark_admin}', 'SELECT tallymark.has_session_ended(''x'')'),
  (15, '{}', 'DELETE FROM tallymark.ended_session')) AS c (number, roles, call)
CROSS JOIN unnest('{tallymark_writer,tallymark_reader,tallymark_admin,tallymark_test_nobody}'::text[]) AS r (role)
ORDER BY c.number;

SELECT * FROM finish();
ROLLBACK;
