-- Areas are counted beside the increments, and both types are set from the first areas on: otherwise their presence
-- would depend on the order.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(8);

CREATE FUNCTION pg_temp.counted(progress jsonb, grown jsonb) RETURNS tallymark.job LANGUAGE sql AS $$
  SELECT tallymark.with_area_counts(jsonb_populate_record(NULL::tallymark.job, jsonb_build_object('id', 'job',
    'progress', $1,
    'facets', tallymark.facets_of($1), 'last_seq', 7)), $2)
$$;
SELECT is((pg_temp.counted(c.progress, c.grown)).progress -> 'itemsByType', c.items, c.why)
FROM (VALUES
  (1, '{}'::jsonb, '{"groups": 0, "projects": 0}'::jsonb, '{"groups": 0, "projects": 0}'::jsonb,
    'noughts are there, too'),
  (2, '{}', '{"groups": 2, "projects": 1}', '{"groups": 2, "projects": 1}', 'the first areas'),
  (3, '{"itemsByType": {"issues": 5, "groups": 3}}', '{"groups": 2, "projects": 0}',
    '{"issues": 5, "groups": 5, "projects": 0}',
    'others beside them'),
  (4, '{"itemsByType": {"groups": 3, "projects": 1}}', '{"groups": -1, "projects": 1}', '{"groups": 2, "projects": 2}',
    'a group that turned out to be a project'),
  (5, '{"itemsByType": {"groups": 9007199254740991}}', '{"groups": 1, "projects": 0}',
    '{"groups": 9007199254740992, "projects": 0}',
    'exactly, however many')) AS c (number, progress, grown, items, why) ORDER BY c.number;
SELECT is((pg_temp.counted('{"stage": "s"}', '{"groups": 0, "projects": 0}')).facets,
  '{"stage": "s", "itemTypes": ["groups", "projects"]}', 'the job can be searched by them');
SELECT is((pg_temp.counted('{"stage": "s", "processedItems": 4}', '{"groups": 0, "projects": 0}')).progress -
  'itemsByType',
  '{"stage": "s", "processedItems": 4}', 'nothing else of the progress changes');
SELECT is(to_jsonb(pg_temp.counted('{}', '{"groups": 1, "projects": 0}')) - '{progress,facets}'::text[],
  to_jsonb(jsonb_populate_record(NULL::tallymark.job, '{"id": "job", "last_seq": 7}')) - '{progress,facets}'::text[],
  'nor of the job');

SELECT * FROM finish();
ROLLBACK;
