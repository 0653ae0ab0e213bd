-- Refuses a question that is not right.

CREATE OR REPLACE FUNCTION tallymark.refuse_query(field text, problem text) RETURNS void
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  RAISE EXCEPTION USING ERRCODE = 'TK400', MESSAGE = 'Invalid query',
    DETAIL = jsonb_build_array(
      jsonb_build_object('field', refuse_query.field, 'problem', refuse_query.problem))::text,
    HINT = 'Correct what is named and ask again.';
END
$$;

COMMENT ON FUNCTION tallymark.refuse_query(text, text) IS
'Refuses a question that is not right.
Arguments: field, what is wrong, under the name that HTTP gives it; problem, what is wrong with it.
Errors: always TK400; MESSAGE is what HTTP answers as error, DETAIL an array of {"field", "problem"} as JSON.';

REVOKE ALL ON FUNCTION tallymark.refuse_query(text, text) FROM PUBLIC;
