-- A body is accepted as it arrives over HTTP, and an invalid one is refused with all problems.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(21);
\ir ../helpers.psql

CREATE FUNCTION pg_temp.outcome(body jsonb) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  v_detail text;
BEGIN
  RETURN CASE tallymark.receive_job(body) -> 'created' WHEN 'true' THEN 'new' ELSE 'there already' END;
EXCEPTION WHEN SQLSTATE 'TK400' THEN
  GET STACKED DIAGNOSTICS v_detail = PG_EXCEPTION_DETAIL;
  RETURN SQLERRM || ': ' || pg_temp.fields_named(v_detail);
END
$$;

SELECT is(pg_temp.outcome(c.body), c.outcome, c.words)
FROM (VALUES
  (1, '{"taskId": "job", "attributes": {"command": "crawl"}}'::jsonb, 'new', 'a job'),
  (2, '{"taskId": "job"}', 'there already', 'the same job'),
  (3, '{"taskId": "bare"}', 'new', 'attributes may be left out'),
  (4, '{"taskId": "null", "attributes": null}', 'new', 'or be null'),
  (5, '{}', 'Missing required fields: taskId: taskId', 'no taskId'),
  (6, '{"taskId": null}', 'Missing required fields: taskId: taskId', 'a taskId that is null'),
  (7, '{"taskId": 5}', 'Invalid job: taskId', 'a taskId that is a number'),
  (8, '{"taskId": ""}', 'Invalid job: taskId', 'an empty taskId'),
  (9, '{"taskId": "x", "attributes": []}', 'Invalid job: attributes', 'attributes that are no object'),
  (10, '{"taskId": 5, "attributes": []}', 'Invalid job: attributes taskId', 'both at fault, both told'),
  (11, '[]', 'Invalid request body: ', 'an array'),
  (12, 'null', 'Invalid request body: ', 'the JSON null'),
  (13, NULL, 'Invalid request body: ', 'no body'),
  (14, '{"taskId": "part", "parent": "job"}', 'new', 'a parent'),
  (15, '{"taskId": "part", "parent": null}', 'there already', 'or none, as null'),
  (16, '{"taskId": "x", "parent": 5}', 'Invalid job: parent', 'a parent that is a number'),
  (17, '{"taskId": "x", "parent": "x"}', 'Invalid job: parent', 'the job itself'),
  (18, '{"taskId": "", "parent": "", "attributes": {"series": ""}}', 'Invalid job: attributes.series parent taskId',
    'all three')) AS c (number, body, outcome, words)
ORDER BY c.number;
SELECT is((SELECT string_agg(id, ' ' ORDER BY id) FROM tallymark.job WHERE created_at >= now()), 'bare job null part',
  'only the valid jobs are registered');

SELECT throws_ok($$ SELECT tallymark.receive_job('{"taskId": "a/1", "parent": "b/1"}', 'a/') $$, 'TK403', NULL,
  'the parent must be a job of the caller''s, too');
SELECT lives_ok($$ SELECT tallymark.receive_job('{"taskId": "a/1", "parent": "a/2"}', 'a/') $$, 'as this one is');

SELECT * FROM finish();
ROLLBACK;
