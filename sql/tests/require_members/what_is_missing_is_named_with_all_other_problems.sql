-- The wire protocol requires members that SQL callers may leave out. A crawler without them gets all missing members
-- and all other problems at once.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(10);

SELECT lives_ok(format($$ SELECT tallymark.require_members('job', %L, '{taskId,status}') $$, p.payload), p.why)
FROM (VALUES (1, '{"taskId": "job", "status": "processing"}', 'what has them all passes'),
  (2, '{"taskId": "job", "status": "dancing"}', 'what is wrong otherwise is judged elsewhere'),
  (3, '[]', 'so is an array'), (4, '"taskId"', 'a string'), (5, 'null', 'a null'), (6, NULL, 'and nothing at all'))
  AS p (number, payload, why) ORDER BY p.number;
SELECT lives_ok($$ SELECT tallymark.require_members('job', '{}', '{}') $$,
  'where no member is required, none is missing');
SELECT throws_ok($$ SELECT tallymark.require_members(NULL, '{}', '{taskId,status,timestamp}') $$, 'TK400',
  'Missing required fields: taskId, status, timestamp', 'what is missing is refused');
SELECT throws_ok($$ SELECT tallymark.require_members('job', '{"taskId": "job", "status": null}', '{taskId,status}') $$,
  'TK400', NULL, 'null is missing');
CREATE FUNCTION pg_temp.fields() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  v_detail text;
BEGIN
  PERFORM tallymark.require_members('job', '{"status": "?", "stage": 7, "timestamp": null}',
    '{taskId,status,timestamp}');
EXCEPTION WHEN SQLSTATE 'TK400' THEN
  GET STACKED DIAGNOSTICS v_detail = PG_EXCEPTION_DETAIL;
  RETURN (SELECT string_agg(d.value ->> 'field', ' ' ORDER BY d.value ->> 'field')
    FROM jsonb_array_elements(v_detail::jsonb) AS d);
END
$$;
SELECT is(pg_temp.fields(), 'stage status taskId timestamp', 'with all other problems');

SELECT * FROM finish();
ROLLBACK;
