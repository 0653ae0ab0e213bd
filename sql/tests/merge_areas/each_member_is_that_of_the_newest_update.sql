-- A rediscovery updates an area member by member, whatever arrives first. Members that it does not give stay.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(13);

-- As merge_progress calls it: how many more areas the job has, and what the area is afterwards.
CREATE FUNCTION pg_temp.merged(at text, key text, areas jsonb) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  v_grown CONSTANT jsonb := tallymark.merge_areas('job', at::timestamptz, key, areas);
BEGIN
  RETURN v_grown::text || ' ' || coalesce((
    SELECT string_agg(a.full_path || ' ' || a.details::text, ', ' ORDER BY a.full_path) FROM tallymark.job_area AS a
    WHERE a.job_id = 'job'), 'none');
END
$$;
SELECT is(pg_temp.merged(c.at, c.key, c.areas), c.merged, c.why)
FROM (VALUES
  (1, '2025-01-06T10:00Z', '=a', '[]'::jsonb, '{"groups": 0, "projects": 0} none', 'no areas'),
  (2, '2025-01-06T10:00Z', '=b', '[{"fullPath": "g", "type": "group", "name": "1"}]',
    '{"groups": 1, "projects": 0} g {"name": "1", "type": "group"}', 'a new one'),
  (3, '2025-01-06T10:01Z', '=b', '[{"fullPath": "g", "type": "group", "name": "2", "x": {"a": 1}}]',
    '{"groups": 0, "projects": 0} g {"x": {"a": 1}, "name": "2", "type": "group"}', 'again, with more members'),
  (4, '2025-01-06T10:02Z', '=b', '[{"fullPath": "g", "type": "project"}]',
    '{"groups": -1, "projects": 1} g {"x": {"a": 1}, "name": "2", "type": "project"}',
      'again, with fewer: it is a project'),
  (5, '2025-01-06T10:00:30Z', '=z', '[{"fullPath": "g", "type": "group", "name": "old", "x": 7, "y": 8}]',
    '{"groups": 0, "projects": 0} g {"x": {"a": 1}, "y": 8, "name": "2", "type": "project"}',
      'a late one gives what is not known'),
  (6, '2025-01-06T10:02Z', '=c', '[{"fullPath": "g", "type": "subgroup"}]',
    '{"groups": 0, "projects": -1} g {"x": {"a": 1}, "y": 8, "name": "2", "type": "subgroup"}',
      'of a tie the larger key'),
  (7, '2025-01-06T10:02Z', '#z', '[{"fullPath": "g", "type": "group"}]',
    '{"groups": 0, "projects": 0} g {"x": {"a": 1}, "y": 8, "name": "2", "type": "subgroup"}', 'by its bytes'),
  (8, '2025-01-06T10:03Z', '=d', '[{"fullPath": "g", "type": "group", "y": [0]}, {"fullPath": "G", "type": "group"}]',
    '{"groups": 2, "projects": 0} G {"type": "group"}, g {"x": {"a": 1}, "y": [0], "name": "2", "type": "group"}',
    'several at once')) AS c (number, at, key, areas, merged, why) ORDER BY c.number;
SELECT is(discovered_at, '2025-01-06T10:00Z', 'an area was discovered when it was first seen') FROM tallymark.job_area
  WHERE full_path = 'g' AND job_id = 'job';
SELECT is(tallymark.merge_areas('other', '2025-01-06T10:00Z', '=a', '[{"fullPath": "g", "type": "group"}]'),
  '{"groups": 1, "projects": 0}',
  'another job discovers it for itself');
DO $$
BEGIN
  PERFORM tallymark.merge_areas('job', '2025-01-06T09:00Z', '=e', '[{"fullPath": "g", "type": "x"}]');
  PERFORM tallymark.merge_areas('paths', '2025-01-06T09:00Z', '=e', jsonb_agg(jsonb_build_object('fullPath', p.path,
    'type', 'x')))
  FROM unnest(ARRAY['a', 'a/b', 'a/', '/a', '/', '//', 'a/b/ü', repeat('ü/', 333) || 'x', repeat('x', 1000), E'a\nb/c',
    ' ']) AS p (path);
END
$$;
SELECT is(discovered_at, '2025-01-06T09:00Z', 'also by an update that comes late') FROM tallymark.job_area
WHERE full_path = 'g' AND job_id = 'job';
SELECT is(count(*), 11::bigint, 'paths are texts, of whatever characters') FROM tallymark.job_area WHERE job_id =
  'paths';
SELECT is(string_agg(full_path || '>' || coalesce(parent_path, '-'), ' ' ORDER BY full_path),
  '/>- //>/ /a>- a>- a/>a a/b>a', 'the parent is the path without its last part')
FROM tallymark.job_area WHERE job_id = 'paths' AND full_path IN ('a', 'a/b', 'a/', '/a', '/', '//');

SELECT * FROM finish();
ROLLBACK;
