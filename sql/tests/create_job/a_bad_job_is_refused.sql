-- An invalid job is refused with all problems, and nothing is registered.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(28);
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
  (15, 'null counting', '{"counting": null}', 'taken', 'a counting that is null is not given'),
  (16, 'series', '{"series": "nightly"}', 'taken', 'a series'),
  (17, 'long series', jsonb_build_object('series', repeat('ü', 255)), 'taken', 'a series of 255 characters'),
  (18, 'longer', jsonb_build_object('series', repeat('s', 256)), 'attributes.series', 'a series of 256 characters'),
  (19, 'no series', '{"series": ""}', 'attributes.series', 'an empty series'),
  (20, 'bad series', '{"series": 7}', 'attributes.series', 'a series that is a number'),
  (21, 'null series', '{"series": null}', 'taken', 'a series that is null is not given'),
  (22, 'both', '{"series": [], "counting": 5}', 'attributes.counting attributes.series', 'two attributes at fault'))
    AS c (number, id,
    attributes, outcome, words)
ORDER BY c.number;
SELECT is((SELECT string_agg(left(id, 10), ' ' ORDER BY id) FROM tallymark.job
  WHERE created_at >= now() AND id <> repeat('x', 255)),
  'attributes counting limit long serie null count null serie series', 'only the valid jobs are registered');
SELECT is(pg_temp.fields_refused(format('create_job(%L, parent => %L)', c.id, c.parent)), c.outcome, c.words)
FROM (VALUES (1, 'child', repeat('p', 255), 'taken', 'a parent that nobody has registered'),
  (2, 'child 2', NULL, 'taken', 'no parent'),
  (3, 'child 3', '', 'parent', 'an empty parent'),
  (4, 'child 4', repeat('p', 256), 'parent', 'a parent of 256 characters'),
  (5, 'child 5', 'child 5', 'parent', 'the job itself')) AS c (number, id, parent, outcome, words)
ORDER BY c.number;

SELECT * FROM finish();
ROLLBACK;
