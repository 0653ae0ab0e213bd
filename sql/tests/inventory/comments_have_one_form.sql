-- The comments of the functions that a role may execute are their documentation, and a page is generated from them. So
-- each names the arguments, the result and the callers in paragraphs that begin the same way everywhere.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(7);

CREATE TEMPORARY VIEW public_functions AS
SELECT p.proname AS name, p.pronargs, p.proargnames[1:p.pronargs] AS arguments,
  obj_description(p.oid, 'pg_proc') AS comment, (
    SELECT array_agg(DISTINCT a.grantee::regrole::text ORDER BY a.grantee::regrole::text)
    FROM aclexplode(p.proacl) AS a WHERE a.grantee <> p.proowner) AS callers
FROM pg_catalog.pg_proc AS p
WHERE p.pronamespace = 'tallymark'::regnamespace
  AND EXISTS (SELECT FROM aclexplode(p.proacl) AS a WHERE a.grantee <> p.proowner);

SELECT isnt_empty('SELECT name FROM public_functions', 'roles may execute some functions');

SELECT is_empty(
  $$SELECT name FROM public_functions WHERE comment !~ '^[A-Z][a-z]+s [^\n]+' OR comment ~ '\n\n|[ \t]\n|\s$'$$,
  'each comment begins with a verb, such as Merges, and has no empty lines'
);

SELECT is_empty(
  $$SELECT name FROM public_functions WHERE (pronargs > 0) <> (comment ~ '\nArguments: ')$$,
  'a function with arguments has a paragraph Arguments'
);

SELECT is_empty(
  $$SELECT f.name || '(' || a.name || ')'
    FROM public_functions AS f, unnest(f.arguments) AS a (name)
    WHERE coalesce(substring(f.comment FROM '\nArguments: (.*?)\n[A-Z][a-z]+: '), '') !~ ('\y' || a.name || '\y|as (that|those) of ')$$,
  'which names each of them, or the function that has the same'
);

SELECT is_empty(
  $$SELECT name FROM public_functions WHERE comment !~ '\nReturns: '$$,
  'each has a paragraph Returns'
);

SELECT is_empty(
  $$SELECT name FROM public_functions WHERE comment ~ '\mTK[0-9]{3}\M' AND comment !~ '\nErrors: '$$,
  'SQLSTATEs are named in a paragraph Errors'
);

SELECT is_empty(
  $$SELECT f.name FROM public_functions AS f
    WHERE f.callers IS DISTINCT FROM ARRAY(
      SELECT c.role FROM regexp_split_to_table(substring(f.comment FROM '\nCallers: ([^.]+)\.'), ',\s+') AS c (role)
      ORDER BY c.role)$$,
  'the paragraph Callers names the roles that may execute it, and no other'
);

SELECT * FROM finish();
ROLLBACK;
