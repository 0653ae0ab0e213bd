-- A script that revokes may run twice. A mistyped name is not taken for a revoked one.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(6);
-- The tokens of a database in use are back after the rollback.
DELETE FROM tallymark.api_token;

DO $$ BEGIN PERFORM tallymark.create_token('a', '{read}'); PERFORM tallymark.create_token('b', '{read}'); END $$;
CREATE TEMPORARY TABLE first AS SELECT tallymark.revoke_token('a') AS at;
SELECT ok((SELECT at BETWEEN now() AND clock_timestamp() FROM first), 'revoking says when that was');
SELECT is(tallymark.revoke_token('a'), (SELECT at FROM first), 'again it says when that was the first time');
SELECT is((SELECT t.revoked_at FROM tallymark.list_tokens() AS t WHERE t.name = 'a'), (SELECT at FROM first),
  'which is what is kept');
SELECT is((SELECT t.revoked_at FROM tallymark.list_tokens() AS t WHERE t.name = 'b'), NULL, 'another is not touched');
SELECT throws_ok($$ SELECT tallymark.revoke_token('A') $$, 'TK404', NULL, 'an unknown name is refused');
SELECT throws_ok($$ SELECT tallymark.revoke_token(NULL) $$, 'TK404', NULL, 'and so is none');

SELECT * FROM finish();
ROLLBACK;
