-- The endpoint asks with a digest. Unknown, expired and revoked tokens look the same to it.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(8);
-- The tokens of a database in use are back after the rollback.
DELETE FROM tallymark.api_token;

CREATE FUNCTION pg_temp.check(token text) RETURNS jsonb LANGUAGE sql
RETURN tallymark.check_token(sha256(convert_to(token, 'UTF8')));

CREATE TEMPORARY TABLE made AS
SELECT n.name, tallymark.create_token(n.name, n.scopes::text[], n.job_prefix, n.expires_at) AS token
FROM (VALUES ('lasting', '{write,read}', '', NULL::timestamptz), ('day', '{read}', 'a_', now() + interval '1 day'),
  ('revoked', '{read}', '', NULL), ('expired', '{read}', '', NULL)) AS n (name, scopes, job_prefix, expires_at);
DO $$
BEGIN
  PERFORM tallymark.revoke_token('revoked');
  UPDATE tallymark.api_token SET expires_at = statement_timestamp() WHERE name = 'expired';
END
$$;

SELECT is((SELECT pg_temp.check(token) FROM made WHERE name = 'lasting'),
  '{"name": "lasting", "scopes": ["write", "read"], "jobPrefix": "", "secondsLeft": null}', 'a token that lasts');
SELECT is((SELECT pg_temp.check(token) - 'secondsLeft' FROM made WHERE name = 'day'),
  '{"name": "day", "scopes": ["read"], "jobPrefix": "a_"}', 'a token for a day');
SELECT ok((SELECT (pg_temp.check(token) ->> 'secondsLeft')::numeric BETWEEN 86000 AND 86400 FROM made
  WHERE name = 'day'), 'with the seconds it has left');
SELECT is((SELECT pg_temp.check(token) FROM made WHERE name = 'revoked'), NULL, 'a revoked one opens nothing');
SELECT is((SELECT pg_temp.check(token) FROM made WHERE name = 'expired'), NULL, 'from its time on, an expired one');
SELECT is(pg_temp.check('tallymark_'), NULL, 'an unknown one');
SELECT is(tallymark.check_token(''), NULL, 'an empty digest');
SELECT is(tallymark.check_token(NULL), NULL, 'none');

SELECT * FROM finish();
ROLLBACK;
