-- Each key and each type of itemKeys that is wrong is named, all at once.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(28);
\ir ../helpers.psql

DO $$ BEGIN PERFORM tallymark.create_job('job'); END $$;

SELECT is(pg_temp.at_fault(c.update), c.outcome, c.words)
FROM (VALUES
  (1, '{"itemKeys": {"pages": ["a", "é", "😀", " "]}}'::jsonb, 'taken', 'keys of any characters'),
  (2, '{"itemKeys": {}}', 'taken', 'no types'),
  (3, '{"itemKeys": null}', 'taken', 'null, which counts as not given'),
  (4, '{"itemKeys": ["a"]}', 'itemKeys', 'an array instead of the whole'),
  (5, '{"itemKeys": "a"}', 'itemKeys', 'a text instead of the whole'),
  (6, '{"itemKeys": {"pages": "a"}}', 'itemKeys.pages', 'a text instead of an array'),
  (7, '{"itemKeys": {"pages": null}}', 'itemKeys.pages', 'null instead of an array'),
  (8, '{"itemKeys": {"pages": {"a": 1}}}', 'itemKeys.pages', 'an object instead of an array'),
  (9, '{"itemKeys": {"pages": 5}}', 'itemKeys.pages', 'a number instead of an array'),
  (10, '{"itemKeys": {"pages": []}}', 'itemKeys.pages', 'an empty array'),
  (11, '{"itemKeys": {"pages": ["a", 1, "b", null, "", ["c"], {"d": "e"}, true]}}',
    'itemKeys.pages[1] itemKeys.pages[3] itemKeys.pages[4] itemKeys.pages[5] itemKeys.pages[6] itemKeys.pages[7]',
    'all that is no key is named by its place'),
  (12, '{"itemKeys": {"": ["a"]}}', 'itemKeys.', 'a type without a name'),
  (13, jsonb_build_object('itemKeys', jsonb_build_object(repeat('x', 100), '["a"]'::jsonb)), 'taken',
    'a name of 100 characters'),
  (14, jsonb_build_object('itemKeys', jsonb_build_object(repeat('x', 101), '["a"]'::jsonb)),
    'itemKeys.' || repeat('x', 100), 'a name of 101 characters'),
  (15, jsonb_build_object('itemKeys', jsonb_build_object('pages', jsonb_build_array(repeat('é', 1024)))), 'taken',
    'a key of 1024 characters'),
  (16, jsonb_build_object('itemKeys', jsonb_build_object('pages', jsonb_build_array('a', repeat('é', 1025)))),
    'itemKeys.pages[1]', 'a key of 1025 characters'),
  (17, '{"itemKeys": {"pages": ["a"]}, "itemsByType": {"issues": 1}}', 'taken', 'another type by a number'),
  (18, '{"itemKeys": {"pages": ["a"], "x": ["b"]}, "itemsByType": {"pages": 1, "x": 0}}', 'itemKeys.pages itemKeys.x',
    'the same types by a number'),
  (19, '{"itemKeys": {"pages": ["a"]}, "itemsByType": {"pages": 1}, "counting": "cumulative"}', 'itemKeys.pages',
    'also by running totals'),
  (20, '{"itemKeys": {"groups": ["a"], "projects": ["a"]}, "groupCount": 1}', 'itemKeys.groups',
    'also by the legacy name of running totals'),
  (21, '{"itemKeys": {"projects": ["a"]}, "projectCount": 1}', 'itemKeys.projects', 'and the other one'),
  (22, '{"itemKeys": {"pages": [""]}, "itemsByType": {"pages": -1}, "stage": 5}',
    'itemKeys.pages itemKeys.pages[0] itemsByType.pages stage', 'together with all else that is wrong'))
  AS c (number, update, outcome, words)
ORDER BY c.number;
SELECT is(pg_temp.at_fault(jsonb_build_object('itemKeys', jsonb_build_object('pages', jsonb_agg('k' || n)))), 'taken',
  '1000 keys') FROM generate_series(1, 1000) AS n;
SELECT is(pg_temp.at_fault(jsonb_build_object('itemKeys', jsonb_build_object('pages', jsonb_agg('k' || n)))),
  'itemKeys.pages', '1001 keys') FROM generate_series(1, 1001) AS n;
SELECT is(pg_temp.at_fault(jsonb_build_object('itemKeys', jsonb_object_agg('t' || n, '["k"]'::jsonb))), 'taken',
  '200 types') FROM generate_series(1, 200) AS n;
SELECT is(pg_temp.at_fault(jsonb_build_object('itemKeys', jsonb_object_agg('t' || n, '["k"]'::jsonb))), 'itemKeys',
  '201 types') FROM generate_series(1, 201) AS n;
SELECT cmp_ok((SELECT count(*) FROM jsonb_array_elements(tallymark.item_keys_problems(
    jsonb_build_object('itemKeys', jsonb_build_object('pages', jsonb_agg(n)))))), '<=', 200::bigint,
  'of very many bad keys only some are named') FROM generate_series(1, 1000) AS n;
SELECT ok(tallymark.verify_job('job'), 'what was taken verifies');

SELECT * FROM finish();
ROLLBACK;
