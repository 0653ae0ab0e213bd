-- Changes no table. Refuses to go on where yoyo records the migrations in another schema than public: there it does not
-- find what was recorded before, and would apply all migrations again, and a later release's would not be noticed.
-- depends: 0013-groups

DO $$
DECLARE
  -- By the search path of the user, as yoyo finds its tables.
  v_used CONSTANT pg_catalog.regclass := pg_catalog.to_regclass('_yoyo_migration');
BEGIN
  IF v_used IS DISTINCT FROM pg_catalog.to_regclass('public._yoyo_migration') THEN
    RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
      MESSAGE = pg_catalog.format('yoyo uses its tables in the schema %I, and must use those in public', (
        SELECT n.nspname FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
        WHERE c.oid = v_used)),
      HINT = 'Run `tallymark migrate`, or add ?schema=public to the URL for yoyo.';
  END IF;
END
$$;
