-- An invalid query is refused as over HTTP, with the name of the parameter.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(2);

CREATE FUNCTION pg_temp.refusal() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  v_detail text;
BEGIN
  PERFORM tallymark.refuse_query('at', 'must be "x"');
EXCEPTION WHEN SQLSTATE 'TK400' THEN
  GET STACKED DIAGNOSTICS v_detail = PG_EXCEPTION_DETAIL;
  RETURN v_detail;
END
$$;

SELECT throws_ok($$ SELECT tallymark.refuse_query('at', 'is wrong') $$, 'TK400', 'Invalid query', 'refused');
SELECT is(pg_temp.refusal()::jsonb, '[{"field": "at", "problem": "must be \"x\""}]', 'with what is wrong');

SELECT * FROM finish();
ROLLBACK;
