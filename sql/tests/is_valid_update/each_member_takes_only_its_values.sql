-- Each member accepts only its own values: words, objects, arrays.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(60);
\ir ../helpers.psql

DO $$ BEGIN PERFORM tallymark.create_job('job'); END $$;

SELECT is(pg_temp.at_fault(jsonb_build_object(c.name, c.value)), CASE WHEN c.good THEN 'taken' ELSE c.name END,
  format('%s may %sbe %s', c.name, CASE WHEN c.good THEN '' ELSE 'not ' END, c.value))
FROM (VALUES
  (1, 'operationType', '"discovery"'::jsonb, true), (2, 'operationType', '"branch_crawling"', true),
  (3, 'operationType', '"data_collection"', true), (4, 'operationType', '"finalization"', true),
  (5, 'operationType', '"mining"', false),
  (6, 'counting', '"increment"', true), (7, 'counting', '"cumulative"', true), (8, 'counting', '"total"', false),
  (9, 'error', '"text"', true), (10, 'error', '{"type": "E", "code": 5, "context": null}', true), (11, 'error', '""',
    true),
  (12, 'error', '5', false), (13, 'error', 'false', false), (14, 'error', '["text"]', false),
  (15, 'credentialStatus', '{"type": "expiry"}', true), (16, 'credentialStatus', '"expired"', false),
  (17, 'credentialStatus', '[{}]', false),
  (18, 'areas', '[]', true), (19, 'areas', '[{"type": "group", "fullPath": "a"}]', true), (20, 'areas', '{}', false),
  (21, 'areas', '"a"', false), (22, 'areas', '7', false),
  (23, 'timeline', '[]', true), (24, 'timeline', '{}', false), (25, 'timeline', '"x"', false),
  (26, 'itemsByType', '{}', true), (27, 'itemsByType', '[]', false), (28, 'itemsByType', '5', false),
  (29, 'progress', '[1, null]', true), (30, 'progress', '"x"', true), (31, 'progress', 'false', true),
  (32, 'anything', '[{"deep": null}]', true),
  (33, 'doneBeyond', '[]', true), (34, 'doneBeyond', '["b", "d"]', true), (35, 'doneBeyond', '"b"', false),
  (36, 'doneBeyond', '{}', false), (37, 'doneBeyond', '[5]', false), (38, 'doneBeyond', '["b", ""]', false),
  (39, 'doneBeyond', '[["b"]]', false),
  (40, 'foundByType', '{}', true), (41, 'failedByType', '{"a": 0, "b": 9007199254740991}', true),
  (42, 'skippedByType', '{"a": 5.0}', true), (43, 'totalsByType', '{"a": 5}', true),
  (44, 'foundByType', '[]', false), (45, 'failedByType', '5', false), (46, 'skippedByType', '"a"', false),
  (47, 'totalsByType', '[{"a": 1}]', false)) AS c (number, name, value, good)
ORDER BY c.number;

SELECT is(pg_temp.at_fault(jsonb_build_object('areas', jsonb_agg('{"type": "group", "fullPath": "a"}'::jsonb))),
  CASE WHEN count(*) <= 1000 THEN 'taken' ELSE 'areas' END, count(*) || ' areas')
FROM generate_series(1, 1001) AS n CROSS JOIN (VALUES (1000), (1001)) AS most (n) WHERE n.n <= most.n GROUP BY most.n;
SELECT is(pg_temp.at_fault(jsonb_build_object('timeline',
  jsonb_agg('{"timestamp": "2025-01-06T10:00:00Z", "event": "e"}'::jsonb))),
  CASE WHEN count(*) <= 100 THEN 'taken' ELSE 'timeline' END, count(*) || ' events of its own')
FROM generate_series(1, 101) AS n CROSS JOIN (VALUES (100), (101)) AS most (n) WHERE n.n <= most.n GROUP BY most.n;
SELECT is(pg_temp.at_fault(jsonb_build_object('doneBeyond', jsonb_agg(repeat('ä', most.characters)))),
  CASE WHEN count(*) <= 1000 AND most.characters <= 255 THEN 'taken' ELSE 'doneBeyond' END,
  format('%s items done beyond the cursor, of %s characters', count(*), most.characters))
FROM generate_series(1, 1001) AS n CROSS JOIN (VALUES (1000, 255), (1001, 1), (2, 256)) AS most (n, characters)
WHERE n.n <= most.n GROUP BY most.n, most.characters;
SELECT is(pg_temp.at_fault(jsonb_build_object(m.name, jsonb_build_object('a', 1, 'b', -1))), m.name || '.b',
  m.name || ' names the type that is wrong')
FROM unnest('{foundByType,failedByType,skippedByType,totalsByType}'::text[]) AS m (name);
SELECT is(pg_temp.at_fault(jsonb_build_object('progress', repeat('x', c.n - 2))), -- and two quotation marks
  CASE WHEN c.n <= 65536 THEN 'taken' ELSE 'progress' END, 'progress of ' || c.n || ' bytes')
FROM (VALUES (65536), (65537)) AS c (n);

SELECT * FROM finish();
ROLLBACK;
