-- The ledger has the first 16 bytes of the SHA-256 of a key in UTF-8, and never the key. Digests are sorted, each once.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(5);

SELECT is(tallymark.prepare_item_keys('{"pages": ["b", "a", "b"], "issues": ["a"], "x": ["é"]}'),
  '{"pages": ["3e23e8160039594a33894f6564e1b134", "ca978112ca1bbdcafac231b39a23dc4d"],
    "issues": ["ca978112ca1bbdcafac231b39a23dc4d"], "x": ["4a99557e4033c3539de2eb65472017ca"]}',
  'a digest for each key and type');
SELECT is(tallymark.prepare_item_keys('{"pages": ["a", "b"]}'), tallymark.prepare_item_keys('{"pages": ["b", "a"]}'),
  'the order of the keys makes no difference');
SELECT is(encode(tallymark.item_digest('a'), 'hex'), 'ca978112ca1bbdcafac231b39a23dc4d', 'a digest has 16 bytes');
DO $$
BEGIN
  PERFORM tallymark.create_job('job');
  PERFORM tallymark.merge_progress('job', '{"updateId": "u", "itemKeys": {"pages": ["https://secret.example/"]}}');
END
$$;
SELECT is(payload -> 'itemKeys' -> 'pages' -> 0, to_jsonb(encode(tallymark.item_digest('https://secret.example/'),
  'hex')), 'the ledger has the digest') FROM tallymark.job_event WHERE job_id = 'job';
SELECT is_empty($$SELECT FROM tallymark.job_event AS e WHERE e.job_id = 'job' AND e::text LIKE '%secret%'$$,
  'and nowhere the key');

SELECT * FROM finish();
ROLLBACK;
