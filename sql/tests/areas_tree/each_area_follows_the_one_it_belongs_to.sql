-- The areas of all jobs form one tree. Areas with a wrong or circular parent are not lost.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(13);

INSERT INTO tallymark.job (id) SELECT unnest('{A1,A2,B1}'::text[]);
INSERT INTO tallymark.job_area (job_id, full_path, details, clocks, discovered_at)
SELECT a.job, a.path, a.details::jsonb, '{}', a.at::timestamptz FROM (VALUES
  ('A1', 'g', '{"type": "group", "name": "G"}', '2025-01-06'), ('A1', 'g/s', '{"type": "group"}', '2025-01-06'),
  ('A1', 'g/s/p', '{"type": "project"}', '2025-01-06'), ('A1', 'g/p', '{"type": "project", "name": "old"}',
    '2025-01-06'),
  ('A2', 'g/p', '{"type": "project", "name": "new"}', '2025-01-07'), ('A2', 'g', '{"type": "group", "name": "G"}',
    '2025-01-05'),
  ('A2', 'free', '{"type": "project", "parentPath": "g/s"}', '2025-01-06'), ('A2', 'lost/p', '{"type": "project"}',
    '2025-01-06'),
  ('A2', 'c1', '{"type": "x", "parentPath": "c2"}', '2025-01-06'), ('A2', 'c2', '{"type": "x", "parentPath": "c1"}',
    '2025-01-06'),
  ('B1', 'g', '{"type": "group", "name": "G"}', '2025-01-06'), ('B1', 'self', '{"type": "x", "parentPath": "self"}',
    '2025-01-06'))
  AS a (job, path, details, at);
CREATE FUNCTION pg_temp.tree(root text DEFAULT NULL, depth integer DEFAULT NULL, most integer DEFAULT NULL,
  prefix text DEFAULT NULL, job text DEFAULT NULL) RETURNS text LANGUAGE sql
RETURN (SELECT string_agg(concat_ws(':', t.depth, t.path, t.jobs), ' ') FROM tallymark.areas_tree(root, depth, most,
  prefix, job) AS t);

SELECT is(pg_temp.tree(prefix => 'A'), '0:c1:1 0:c2:1 0:g:2 1:g/p:2 1:g/s:1 2:free:1 2:g/s/p:1 0:lost/p:1',
  'all areas');
SELECT is(pg_temp.tree('g'), '0:g:3 1:g/p:2 1:g/s:1 2:free:1 2:g/s/p:1', 'the tree below one area');
SELECT is(pg_temp.tree('g/s'), '0:g/s:1 1:free:1 1:g/s/p:1', 'the tree below an area further down');
SELECT is(pg_temp.tree('g', 1), '0:g:3 1:g/p:2 1:g/s:1', 'only one level of it');
SELECT is(pg_temp.tree(depth => 0, prefix => 'A'), '0:g:2 0:lost/p:1', 'the areas at the top');
SELECT is(pg_temp.tree(most => 2, prefix => 'A'), '0:c1:1 0:c2:1', 'at most max_areas');
SELECT is(pg_temp.tree('nothing'), NULL, 'an area that no job discovered gives nothing');
SELECT is(pg_temp.tree(job => 'B1'), '0:g:3 0:self:1', 'the areas of one job');
SELECT is((SELECT string_agg(concat_ws(':', t.depth, t.path, t.jobs), ' ') FROM tallymark.job_areas('A1') AS t),
  '0:g:3 1:g/p:2 1:g/s:1 2:g/s/p:1', 'the same by job_areas, with how many jobs know them');
SELECT is((t.parent, t.type, t.name)::text, '(g,project,new)', 'the job that discovered it last counts')
FROM tallymark.areas_tree('g') AS t WHERE t.path = 'g/p';
SELECT throws_ok($$ SELECT * FROM tallymark.job_areas('nobody') $$, 'TK404', NULL, 'an unknown job is refused');
SELECT throws_ok($$ SELECT * FROM tallymark.job_areas(NULL) $$, 'TK400', NULL, 'and so is a null job');
SELECT is(tallymark.areas_page('g/p'), '{"areas": [{"path": "g/p", "parent": "g", "depth": 0, "type": "project",
  "name": "new", "jobs": 2}]}', 'as JSON');

SELECT * FROM finish();
ROLLBACK;
