-- The digest of every key has the same size, and differs where keys differ.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(3);

SELECT is(octet_length(tallymark.key_digest('=' || repeat('é', 255))), 16, 'of a long key');
SELECT is(encode(tallymark.key_digest('=a'), 'hex'), left(encode(sha256('=a'), 'hex'), 32), 'the beginning of SHA-256');
SELECT isnt(tallymark.key_digest('=a'), tallymark.key_digest('#a'), 'an updateId is no digest of content');

SELECT * FROM finish();
ROLLBACK;
