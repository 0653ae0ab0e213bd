-- Refuses a query with an invalid argument.

CREATE OR REPLACE FUNCTION tallymark.refuse_query(field text, problem text) RETURNS void
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  RAISE EXCEPTION USING ERRCODE = 'TK400', MESSAGE = 'Invalid query',
    DETAIL = jsonb_build_array(
      jsonb_build_object('field', refuse_query.field, 'problem', refuse_query.problem))::text,
    HINT = 'Correct the named fields and send the query again.';
END
$$;

COMMENT ON FUNCTION tallymark.refuse_query(text, text) IS
'Refuses a query with an invalid argument.
Arguments: field: the argument, by the name that HTTP gives it; problem: what is wrong with it.
Errors: TK400, always. MESSAGE is what HTTP answers as error, DETAIL a JSON array of {"field", "problem"}.';

REVOKE ALL ON FUNCTION tallymark.refuse_query(text, text) FROM PUBLIC;
