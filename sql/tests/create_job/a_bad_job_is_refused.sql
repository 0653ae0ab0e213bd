-- An invalid job is refused with all problems, and nothing is registered.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(16);
\ir ../helpers.psql

CREATE FUNCTION pg_temp.at_fault(job_id text, attributes jsonb) RETURNS text LANGUAGE sql
RETURN pg_temp.fields_refused(format('create_job(%L, %L)', job_id, attributes));

SELECT is(pg_temp.at_fault(c.id, c.attributes), c.outcome, c.words)
FROM (VALUES
  (1, repeat('x', 255), '{}'::jsonb, 'taken', 'an id of 255 characters'),
  (2, repeat('x', 256), '{}', 'taskId', 'an id of 256 characters'),
  (3, '', '{}', 'taskId', 'an empty id'),
  (4, NULL, '{}', 'taskId', 'no id'),
  (5, 'attributes', NULL, 'taken', 'no attributes'),
  (6, 'array', '[]', 'attributes', 'attributes that are an array'),
  (7, 'text', '"x"', 'attributes', 'attributes that are a text'),
  (8, 'limit', jsonb_build_object('x', repeat('y', 65536 - 9)), 'taken', 'attributes of 64 KB'),
  (9, 'beyond', jsonb_build_object('x', repeat('y', 65536 - 7)), 'attributes', 'attributes of a byte more'),
  (10, 'counting', '{"counting": "cumulative"}', 'taken', 'a counting'),
  (11, 'bad counting', '{"counting": "total"}', 'attributes.counting', 'a counting that does not exist'),
  (12, 'no counting', '{"counting": 5}', 'attributes.counting', 'a counting that is a number'),
  (13, '', '[]', 'attributes taskId', 'both an empty id and bad attributes'),
  (14, NULL, '[]', 'attributes taskId', 'both no id and bad attributes'),
  (15, 'null counting', '{"counting": null}', 'taken', 'a counting that is null is not given')) AS c (number, id,
    attributes, outcome, words)
ORDER BY c.number;
SELECT is((SELECT string_agg(left(id, 10), ' ' ORDER BY id) FROM tallymark.job
  WHERE created_at >= now() AND id <> repeat('x', 255)),
  'attributes counting limit null count', 'only the valid jobs are registered');

SELECT * FROM finish();
ROLLBACK;
