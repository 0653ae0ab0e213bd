-- The caller gets all problems at once, and cannot replace another token by using its name.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(16);
-- The tokens of a database in use are back after the rollback.
DELETE FROM tallymark.api_token;

CREATE FUNCTION pg_temp.outcome(name text, scopes text[], job_prefix text, expires_at timestamptz) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
  v_detail text;
BEGIN
  PERFORM tallymark.create_token(name, scopes, job_prefix, expires_at);
  RETURN 'made';
EXCEPTION WHEN SQLSTATE 'TK400' THEN
  GET STACKED DIAGNOSTICS v_detail = PG_EXCEPTION_DETAIL;
  RETURN (SELECT string_agg(p ->> 'field', ' ') FROM jsonb_array_elements(v_detail::jsonb) AS p);
END
$$;

SELECT is(pg_temp.outcome(c.name, c.scopes, c.job_prefix, c.expires_at), c.outcome, c.words)
FROM (VALUES
  (1, NULL, '{read}'::text[], '', NULL::timestamptz, 'name', 'no name'),
  (2, '', '{read}', '', NULL, 'name', 'an empty name'),
  (3, repeat('n', 101), '{read}', '', NULL, 'name', 'a name that is too long'),
  (4, E'a\nb', '{read}', '', NULL, 'name', 'a name of two lines'),
  (5, 'x', NULL, '', NULL, 'scopes', 'no scopes'),
  (6, 'x', '{}', '', NULL, 'scopes', 'an empty list of scopes'),
  (7, 'x', '{read,delete}', '', NULL, 'scopes', 'an unknown scope'),
  (8, 'x', '{read,NULL}', '', NULL, 'scopes', 'a scope that is null'),
  (9, 'x', '{read}', repeat('p', 256), NULL, 'jobPrefix', 'a prefix longer than an id'),
  (10, 'x', '{read}', '', now() - interval '1 second', 'expiresAt', 'a time gone by'),
  (11, 'x', '{read}', '', 'infinity', 'expiresAt', 'a time that is none'),
  (12, '', '{}', repeat('p', 256), '2020-01-01', 'name scopes jobPrefix expiresAt', 'all at once'),
  (13, repeat('n', 100), '{read,write,admin}', repeat('p', 255), now() + interval '1 day', 'made', 'the longest'))
  AS c (number, name, scopes, job_prefix, expires_at, outcome, words)
ORDER BY c.number;

DO $$ BEGIN PERFORM tallymark.create_token('taken', '{read}'); END $$;
SELECT throws_ok($$ SELECT tallymark.create_token('taken', '{write}') $$, 'TK409', NULL, 'a name that is taken');
DO $$ BEGIN PERFORM tallymark.revoke_token('taken'); END $$;
SELECT throws_ok($$ SELECT tallymark.create_token('taken', '{write}') $$, 'TK409', NULL,
  'also by a token that is revoked');
SELECT is((SELECT array_agg(t.name ORDER BY t.name) FROM tallymark.api_token AS t WHERE t.name NOT LIKE 'nnn%'),
  '{taken}', 'nothing of what was refused is there');

SELECT * FROM finish();
ROLLBACK;
