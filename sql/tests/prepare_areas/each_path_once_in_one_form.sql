-- However a crawler writes an area, it is stored in one form, and each path once, so that no area is counted twice.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(11);

SELECT is(tallymark.prepare_areas(c.areas), c.prepared, c.why)
FROM (VALUES
  (1, '[]'::jsonb, '[]'::jsonb, 'no areas are no areas'),
  (2, '[{"fullPath": "g", "type": "GROUP"}]', '[{"fullPath": "g", "type": "group"}]', 'types in lower case'),
  (3, '[{"fullPath": "g", "type": "p", "name": null, "more": {"a": null}}]',
    '[{"fullPath": "g", "type": "p", "more": {"a": null}}]', 'null is not given; deeper inside it stays'),
  (4, '[{"fullPath": "g", "type": "p", "gitlabId": 7}]', '[{"fullPath": "g", "type": "p", "externalId": 7}]',
    'gitlabId is the original''s name of externalId'),
  (5, '[{"fullPath": "g", "type": "p", "gitlabId": 7, "externalId": "x"}]',
    '[{"fullPath": "g", "type": "p", "externalId": "x"}]', 'which goes before it'),
  (6, '[{"fullPath": "g", "type": "p", "gitlabId": 7, "externalId": null}]',
    '[{"fullPath": "g", "type": "p", "externalId": 7}]', 'unless it is null'),
  (7, '[{"fullPath": "g", "type": "p", "name": "a", "webUrl": "u"}, {"fullPath": "h", "type": "p"},
    {"fullPath": "g", "type": "Group", "name": "b", "webUrl": null}]',
    '[{"fullPath": "g", "type": "group", "name": "b", "webUrl": "u"}, {"fullPath": "h", "type": "p"}]',
    'of a path that is named twice, what is said later goes before, member by member'),
  (8, '[{"fullPath": "g", "type": "p"}, {"fullPath": "G", "type": "p"}, {"fullPath": "g/", "type": "p"},
    {"fullPath": " g", "type": "p"}]',
    '[{"fullPath": "g", "type": "p"}, {"fullPath": "G", "type": "p"}, {"fullPath": "g/", "type": "p"},
    {"fullPath": " g", "type": "p"}]', 'paths that differ in anything are others'),
  (9, '[{"fullPath": "$.a[*]\"", "type": "p"}, {"fullPath": "e\u0301", "type": "p"}, {"fullPath": "\u00e9", "type": '
    '"p"}]',
    '[{"fullPath": "$.a[*]\"", "type": "p"}, {"fullPath": "e\u0301", "type": "p"}, {"fullPath": "\u00e9", "type": '
      '"p"}]',
    'whatever their characters'),
  (10, '[{"fullPath": "z", "type": "p"}, {"fullPath": "bb", "type": "p"}, {"fullPath": "a", "type": "p"}]',
    '[{"fullPath": "z", "type": "p"}, {"fullPath": "bb", "type": "p"}, {"fullPath": "a", "type": "p"}]',
    'they stay in order')) AS c (number, areas, prepared, why) ORDER BY c.number;
SELECT is(tallymark.prepare_areas(tallymark.prepare_areas('[{"fullPath": "g", "type": "P", "gitlabId": 1, "x": '
  'null}]')),
  tallymark.prepare_areas('[{"fullPath": "g", "type": "P", "gitlabId": 1, "x": null}]'),
    'doing it again changes nothing');

SELECT * FROM finish();
ROLLBACK;
