-- The list has every token that was ever created, so that one that should not be there is found.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(2);
-- The tokens of a database in use are back after the rollback.
DELETE FROM tallymark.api_token;

SELECT is_empty($$ SELECT * FROM tallymark.list_tokens() $$, 'at first there is none');
DO $$
BEGIN
  PERFORM tallymark.create_token('revoked', '{write}', 'a');
  PERFORM tallymark.create_token('active', '{read}');
  PERFORM tallymark.create_token('Z', '{admin}');
  PERFORM tallymark.revoke_token('revoked');
  UPDATE tallymark.api_token SET expires_at = '2020-01-01 00:00+00' WHERE name = 'Z';
END
$$;
SELECT results_eq(
  $$ SELECT name COLLATE "C", scopes, job_prefix COLLATE "C", expires_at, revoked_at IS NOT NULL
     FROM tallymark.list_tokens() $$,
  $$ VALUES ('Z' COLLATE "C", '{admin}'::text[], '' COLLATE "C", '2020-01-01 00:00+00'::timestamptz, false),
       ('active', '{read}', '', NULL, false), ('revoked', '{write}', 'a', NULL, true) $$,
  'then all of them, by name, also those that open nothing any more');

SELECT * FROM finish();
ROLLBACK;
