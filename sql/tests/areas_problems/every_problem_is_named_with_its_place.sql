-- A crawler that gets all problems at once, each with its place, can be corrected in one go.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(21);

SELECT is(tallymark.areas_problems('[]'), '[]'::jsonb, 'no areas, no problems');
SELECT is(tallymark.areas_problems(NULL), '[]'::jsonb, 'nor with null');
SELECT is(tallymark.areas_problems(jsonb_build_array(a.area)), '[]'::jsonb, 'right: ' || left(a.area::text, 80))
FROM (VALUES (1, '{"fullPath": "g", "type": "group"}'::jsonb),
  (2, '{"fullPath": " /ü/ /\u4e2d", "type": "Ünit", "name": "", "webUrl": "", "description": "", "discoveredBy": ""}'),
  (3, '{"fullPath": "g", "type": "p", "name": null, "parentPath": null, "gitlabId": null, "externalId": null}'),
  (4, '{"fullPath": "g", "type": "p", "gitlabId": 7, "externalId": "x", "more": {"a": [1, null]}}'),
  (5, jsonb_build_object('fullPath', repeat('é', 500), 'type', repeat('é', 100), 'parentPath', repeat('x', 1000))))
  AS a (number, area) ORDER BY a.number;
SELECT is(
  (SELECT string_agg(p.value ->> 'field', ' ' ORDER BY p.value ->> 'field')
    FROM jsonb_array_elements(tallymark.areas_problems(jsonb_build_array('{"fullPath": "g", "type": "p"}'::jsonb,
      a.area)))
      AS p), a.fields, 'wrong: ' || left(a.area::text, 80))
FROM (VALUES (1, '{}'::jsonb, 'areas[1].fullPath areas[1].type'),
  (2, '{"fullPath": "", "type": ""}', 'areas[1].fullPath areas[1].type'),
  (3, '{"fullPath": null, "type": null}', 'areas[1].fullPath areas[1].type'),
  (4, '{"fullPath": ["g"], "type": {"a": "group"}}', 'areas[1].fullPath areas[1].type'),
  (5, '{"fullPath": "g", "type": "p", "name": 1, "webUrl": [], "description": {}, "discoveredBy": true}',
    'areas[1].description areas[1].discoveredBy areas[1].name areas[1].webUrl'),
  (6, '{"fullPath": "g", "type": "p", "gitlabId": true, "externalId": {}}', 'areas[1].externalId areas[1].gitlabId'),
  (7, '{"fullPath": "g", "type": "p", "parentPath": ""}', 'areas[1].parentPath'),
  (8, jsonb_build_object('fullPath', repeat('é', 500) || 'x', 'type', repeat('x', 101), 'parentPath', repeat('é', 501)),
    'areas[1].fullPath areas[1].parentPath areas[1].type'),
  (9, '7', 'areas[1]'), (10, 'null', 'areas[1]'), (11, '[]', 'areas[1]')) AS a (number, area, fields) ORDER BY a.number;
SELECT is(jsonb_array_length(tallymark.areas_problems((SELECT jsonb_agg('{}'::jsonb) FROM generate_series(1, 1000))))
  BETWEEN 200 AND 210, true, 'of a great many problems some 200 are named');
SELECT is(jsonb_array_length(tallymark.areas_problems((SELECT jsonb_agg(g.n) FROM generate_series(1, 1000) AS g (n))))
  BETWEEN 200 AND 210, true, 'of areas that are no objects, too');
DO $$ BEGIN PERFORM tallymark.create_job('job'); END $$;
SELECT throws_ok($$ SELECT tallymark.merge_progress('job', '{"areas": [{"fullPath": "g"}]}') $$, 'TK400', NULL,
  'an update with such an area is refused');

SELECT * FROM finish();
ROLLBACK;
