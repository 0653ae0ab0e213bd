-- Rules that hold for every object of the schema, read from the catalogue, so that a new one cannot be forgotten.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(11);

CREATE TEMPORARY VIEW our_functions AS
SELECT p.*, p.oid::regprocedure::text AS signature
FROM pg_catalog.pg_proc AS p
WHERE p.pronamespace = 'tallymark'::regnamespace;

SELECT isnt_empty('SELECT signature FROM our_functions', 'there are functions to judge');

SELECT is_empty(
  $$SELECT signature FROM our_functions WHERE coalesce(obj_description(oid, 'pg_proc'), '') = ''$$,
  'every function has a comment'
);

SELECT is_empty(
  $$SELECT signature FROM our_functions
    WHERE prosqlbody IS NULL AND NOT EXISTS (SELECT FROM unnest(proconfig) AS s WHERE s LIKE 'search_path=%')$$,
  'every function has a pinned search_path, or a body whose names were resolved when it was made'
);

SELECT is_empty(
  $$SELECT signature FROM our_functions
    WHERE prosecdef AND prosqlbody IS NULL
      AND NOT EXISTS (SELECT FROM unnest(proconfig) AS s WHERE s LIKE 'search_path=%pg_temp')$$,
  'in a SECURITY DEFINER function temporary objects come last'
);

SELECT is_empty(
  $$SELECT signature FROM our_functions AS f, aclexplode(coalesce(f.proacl, acldefault('f', f.proowner))) AS a
    WHERE a.grantee = 0$$,
  'PUBLIC may execute no function'
);

SELECT is_empty(
  $$SELECT c.oid::regclass::text FROM pg_class AS c, aclexplode(c.relacl) AS a
    WHERE c.relnamespace = 'tallymark'::regnamespace AND a.grantee = 0
    UNION ALL SELECT n.nspname FROM pg_namespace AS n, aclexplode(n.nspacl) AS a
    WHERE n.nspname = 'tallymark' AND a.grantee = 0$$,
  'PUBLIC has nothing on tables, views and the schema'
);

SELECT is_empty(
  $$SELECT signature FROM our_functions WHERE proowner <> 'tallymark_owner'::regrole
    UNION ALL SELECT c.oid::regclass::text FROM pg_class AS c
    WHERE c.relnamespace = 'tallymark'::regnamespace AND c.relowner <> 'tallymark_owner'::regrole
    UNION ALL SELECT nspname FROM pg_namespace
    WHERE nspname = 'tallymark' AND nspowner <> 'tallymark_owner'::regrole$$,
  'tallymark_owner owns everything'
);

SELECT is_empty(
  $$SELECT c.oid::regclass::text FROM pg_class AS c
    WHERE c.relnamespace = 'tallymark'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm')
      AND coalesce(obj_description(c.oid, 'pg_class'), '') = ''$$,
  'every table and view has a comment'
);

SELECT is_empty(
  $$SELECT t.tgname FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid
    WHERE c.relnamespace = 'tallymark'::regnamespace AND NOT t.tgisinternal$$,
  'there are no triggers'
);

SELECT is_empty(
  $$SELECT rolname FROM pg_roles WHERE rolname ~ '^tallymark_(owner|writer|reader|admin)$'
      AND (rolcanlogin OR rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls)$$,
  'our roles can neither log in nor do what a group of grantees must not'
);

SELECT is_empty(
  $$SELECT signature FROM our_functions WHERE prosrc ~ '\mEXCEPTION\s+WHEN\M' AND proparallel <> 'u'$$,
  'a function that catches errors starts a subtransaction, so no parallel query may call it'
);

SELECT * FROM finish();
ROLLBACK;
