-- Only three statuses of a job are terminal.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(11);

SELECT is(tallymark.is_terminal(c.status), c.terminal, c.status || CASE WHEN c.terminal THEN ' is' ELSE ' is not' END
  || ' the end')
FROM (VALUES ('finished', true), ('failed', true), ('cancelled', true), ('queued', false), ('running', false),
  ('paused', false), ('waiting', false),
  ('credential_expired', false), ('waiting_credential_renewal', false), ('credential_renewed', false)) AS c (status,
    terminal);
SELECT is(tallymark.is_terminal(NULL), NULL, 'null for null');

SELECT * FROM finish();
ROLLBACK;
