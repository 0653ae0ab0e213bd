-- The roles that Tallymark's objects are owned by and granted to, and the schema they live in.
--
-- Roles belong to the whole cluster and may be there already from another database, so each is made only where it is
-- missing; two installations at the same moment may both find it missing, which is why duplicate_object is no error.
--
-- The installing user becomes a member of the owner, so that it need not be a superuser (PostgreSQL 16 and later give
-- the maker of a role ADMIN on it, but not the right to SET ROLE).

SET LOCAL lock_timeout = '5s';

DO $$
DECLARE
  v_role text;
BEGIN
  FOREACH v_role IN ARRAY ARRAY['tallymark_owner', 'tallymark_writer', 'tallymark_reader', 'tallymark_admin'] LOOP
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = v_role) THEN
      BEGIN
        EXECUTE pg_catalog.format('CREATE ROLE %I NOLOGIN', v_role);
      EXCEPTION WHEN duplicate_object OR unique_violation THEN
        NULL; -- another installation on this cluster was a moment faster
      END;
    END IF;
  END LOOP;
  IF NOT pg_catalog.pg_has_role(current_user, 'tallymark_owner',
    CASE WHEN pg_catalog.current_setting('server_version_num')::integer >= 160000 THEN 'SET' ELSE 'MEMBER' END)
  THEN
    GRANT tallymark_owner TO CURRENT_USER;
  END IF;
END
$$;

CREATE SCHEMA IF NOT EXISTS tallymark;
ALTER SCHEMA tallymark OWNER TO tallymark_owner;
COMMENT ON SCHEMA tallymark IS
  'Progress of crawlers and other long-running jobs: every update is merged once and kept in a ledger.';
REVOKE ALL ON SCHEMA tallymark FROM PUBLIC;
GRANT USAGE ON SCHEMA tallymark TO tallymark_writer, tallymark_reader, tallymark_admin;
