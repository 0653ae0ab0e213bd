-- Who asks for one job, or may see only some jobs, does not see what other jobs say about an area. Where jobs disagree
-- on parents, the time to walk the tree does not double with each level.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(4);

INSERT INTO tallymark.job (id) SELECT unnest('{acme-1,acmx-1}'::text[]);
INSERT INTO tallymark.job_area (job_id, full_path, details, clocks, discovered_at) VALUES
  ('acme-1', 'g', '{"type": "group", "name": "Mine"}', '{}', '2025-01-06'),
  ('acmx-1', 'g', '{"type": "secret", "name": "Theirs", "parentPath": "hidden"}', '{}', '2025-01-07');
SELECT is(t::text, '(g,,0,group,Mine,2)', 'of a job, with how many jobs know it')
FROM tallymark.areas_tree(job_id => 'acme-1') AS t;
SELECT is(t::text, '(g,,0,group,Mine,1)', 'of a job, for those who may see only such jobs')
FROM tallymark.areas_tree(job_id => 'acme-1', id_prefix => 'acme-') AS t;
SELECT is(t::text, '(g,,0,group,Mine,1)', 'of all jobs that they may see')
FROM tallymark.areas_tree(id_prefix => 'acme-') AS t;

INSERT INTO tallymark.job_area (job_id, full_path, details, clocks, discovered_at)
SELECT j.id, format('%s-%s', l.level, x.side), jsonb_build_object('type', 'x', 'parentPath',
  format('%s-%s', l.level - 1, CASE j.id WHEN 'acme-1' THEN x.side ELSE 1 - x.side END)), '{}', now()
FROM tallymark.job AS j, generate_series(1, 30) AS l (level), generate_series(0, 1) AS x (side)
WHERE j.id IN ('acme-1', 'acmx-1');
SET LOCAL statement_timeout = '5s';
SELECT is((SELECT count(*) FROM tallymark.areas_tree(id_prefix => 'acm')), 61::bigint, 'each area once, whatever the jobs say');

SELECT * FROM finish();
ROLLBACK;
