-- The refusal of a registration describes each problem and says that nothing was registered.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(4);

CREATE FUNCTION pg_temp.refusal(body jsonb) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
  v_detail text;
  v_hint text;
BEGIN
  PERFORM tallymark.receive_job(body);
  RETURN '{taken}';
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS v_detail = PG_EXCEPTION_DETAIL, v_hint = PG_EXCEPTION_HINT;
  RETURN ARRAY[SQLSTATE, v_detail, v_hint];
END
$$;
CREATE TEMPORARY TABLE refused AS
SELECT pg_temp.refusal('{"taskId": "", "attributes": {"counting": "all"}}') AS it;
SELECT is(it[1], 'TK400', 'its SQLSTATE') FROM refused;
SELECT is(it[2]::jsonb, '[{"field": "taskId", "problem": "must be a string of 1 to 255 characters"},
  {"field": "attributes.counting", "problem": "must be increment or cumulative"}]', 'each problem, in words')
    FROM refused;
SELECT isnt(it[3], '', 'and its hint') FROM refused;
SELECT is_empty('SELECT FROM tallymark.job WHERE created_at >= now()', 'nothing was registered');

SELECT * FROM finish();
ROLLBACK;
