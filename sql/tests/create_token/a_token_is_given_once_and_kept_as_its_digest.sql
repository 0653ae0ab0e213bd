-- Only the caller who creates a token ever gets it: what the table holds cannot be used as a token.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(9);
-- The tokens of a database in use are back after the rollback.
DELETE FROM tallymark.api_token;

CREATE TEMPORARY TABLE made AS
SELECT tallymark.create_token('crawler', '{read,write,read}', 'gitlab_', '9999-12-31 12:00+00') AS token;
CREATE TEMPORARY TABLE plain AS SELECT tallymark.create_token('plain', '{admin}') AS token;

SELECT matches((SELECT token FROM made), '^tallymark_[0-9a-f]{64}$', 'the token looks as the endpoint expects it');
SELECT isnt((SELECT token FROM plain), (SELECT token FROM made), 'no two are alike');
SELECT is((SELECT t.digest FROM tallymark.api_token AS t WHERE t.name = 'crawler'),
  (SELECT sha256(convert_to(token, 'UTF8')) FROM made), 'its digest is kept');
SELECT unalike((SELECT string_agg(t::text, '') FROM tallymark.api_token AS t),
  (SELECT '%' || right(token, 64) || '%' FROM made), 'the token is not');
SELECT unalike((SELECT string_agg(t::text, '') FROM tallymark.list_tokens() AS t),
  '%' || (SELECT encode(digest, 'hex') FROM tallymark.api_token AS t WHERE t.name = 'crawler') || '%',
  'the list has not even the digest');
SELECT results_eq($$ SELECT scopes, job_prefix, expires_at FROM tallymark.api_token WHERE name = 'crawler' $$,
  $$ VALUES ('{write,read}'::text[], 'gitlab_' COLLATE "C", '9999-12-31 12:00+00'::timestamptz) $$,
  'its scopes are stored, each once');
SELECT results_eq($$ SELECT scopes, job_prefix, expires_at, revoked_at FROM tallymark.api_token WHERE name = 'plain' $$,
  $$ VALUES ('{admin}'::text[], '' COLLATE "C", NULL::timestamptz, NULL::timestamptz) $$,
  'by default it is for all jobs and does not expire');
SELECT lives_ok($$ SELECT tallymark.create_token('null', '{read}', NULL, NULL) $$, 'null is the default');
SELECT is((SELECT t.job_prefix FROM tallymark.list_tokens() AS t WHERE t.name = 'null'), '', 'which is all jobs');

SELECT * FROM finish();
ROLLBACK;
