-- An admin always gets instructions, and the crawler's own lines come first, since it knows its provider.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(24);

SELECT ok(jsonb_array_length(tallymark.credential_guidance(s.status, c.credential)) > 0
    AND NOT jsonb_path_exists(tallymark.credential_guidance(s.status, c.credential), '$[*] ? (@.type() != "string")'),
  s.status || ' always has lines, all of them texts: ' || coalesce(c.credential::text, 'nothing given'))
FROM unnest('{credential_expiry,CREDENTIAL_RENEWAL,credential_resumed}'::text[]) AS s (status),
  (VALUES (1, NULL::jsonb), (2, '{}'), (3, '{"adminGuidance": []}'), (4, '{"adminGuidance": null, "providerId": null}'),
    (5, '{"adminGuidance": [1, {"a": "b"}, null, ["c"]], "providerId": {"a": 1}, "instanceType": 7}'),
    (6, '{"adminGuidance": {"a": "b"}, "providerId": "%s"}')) AS c (number, credential)
ORDER BY s.status, c.number;
SELECT is(tallymark.credential_guidance('credential_expiry', '{"adminGuidance": ["b", "a", 1, "b"]}')
  #- '{3}' #- '{3}' #- '{3}', '["b", "a", "b"]', 'the crawler''s own lines come first and stay in order');
SELECT is(tallymark.credential_guidance('credential_expiry', '{"adminGuidance": "renew"}') ->> 0, 'renew',
  'adminGuidance may be a single string');
SELECT alike(tallymark.credential_guidance('credential_expiry', '{"providerId": "gitlab", "instanceType": "own"}') ->>
  0,
  '%gitlab%own%', 'the credentials are named');
SELECT is(tallymark.credential_guidance('processing', '{"adminGuidance": ["a"]}'), NULL,
  'no other status has guidance');
SELECT is(tallymark.credential_guidance(NULL, '{}'), NULL, 'nor has a null status');
SELECT isnt(tallymark.credential_guidance('credential_expiry', NULL),
  tallymark.credential_guidance('credential_resumed', NULL),
  'the guidance depends on the status');

SELECT * FROM finish();
ROLLBACK;
