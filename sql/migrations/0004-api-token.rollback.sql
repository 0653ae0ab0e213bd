-- Takes the tokens away, and the functions that are made for them. Who showed one of them is not let in any more.

SET LOCAL lock_timeout = '5s';
SET LOCAL search_path = pg_catalog, pg_temp;

DO $$
DECLARE
  v_functions CONSTANT text[] := ARRAY(
    SELECT p.oid::pg_catalog.regprocedure::text FROM pg_catalog.pg_proc AS p
    WHERE p.pronamespace = 'tallymark'::pg_catalog.regnamespace
      AND p.proname IN ('create_token', 'list_tokens', 'revoke_token', 'check_token', 'has_tokens'));
  v_function text;
BEGIN
  FOREACH v_function IN ARRAY v_functions LOOP
    EXECUTE 'DROP FUNCTION ' || v_function;
  END LOOP;
END
$$;

DROP TABLE IF EXISTS tallymark.api_token;
