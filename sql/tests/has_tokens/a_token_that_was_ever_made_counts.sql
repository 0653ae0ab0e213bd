-- The endpoint stays configured when the last token is revoked.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(3);
-- The tokens of a database in use are back after the rollback.
DELETE FROM tallymark.api_token;

SELECT is(tallymark.has_tokens(), false, 'at first there is none');
DO $$ BEGIN PERFORM tallymark.create_token('a', '{read}'); END $$;
SELECT is(tallymark.has_tokens(), true, 'a token that was made counts');
DO $$ BEGIN PERFORM tallymark.revoke_token('a'); END $$;
SELECT is(tallymark.has_tokens(), true, 'also when it is revoked');

SELECT * FROM finish();
ROLLBACK;
