-- An event with discovered areas also says how many of them were new to the job.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(4);

DO $$
BEGIN
  PERFORM tallymark.create_job('job');
  PERFORM tallymark.merge_progress('job', u.value) FROM jsonb_array_elements('[
    {"timestamp": "2025-01-06T10:00:00Z", "itemsByType": {"groups": 5}},
    {"timestamp": "2025-01-06T10:01:00Z", "areas": [{"fullPath": "g", "type": "group"}, {"fullPath": "p", "type":
      "project"}]},
    {"timestamp": "2025-01-06T10:02:00Z", "areas": [{"fullPath": "g", "type": "group"}, {"fullPath": "h", "type":
      "group"}], "stage": "s"},
    {"timestamp": "2025-01-06T10:03:00Z", "areas": []}]') AS u;
END
$$;
SELECT is(t.details, c.details, 'event ' || t.seq)
FROM tallymark.timeline('job', 1) AS t JOIN (VALUES
  (2, '{"status": "processing", "groupsCount": 1, "projectsCount": 1, "totalDiscovered": 2, "newGroups": 1, '
    '"newProjects": 1}'::jsonb),
  (3, '{"status": "processing", "groupsCount": 2, "projectsCount": 0, "totalDiscovered": 2, "newGroups": 1, '
    '"newProjects": 0,
    "stage": "s", "fromStage": null, "toStage": "s"}'),
  (4, '{"status": "processing", "groupsCount": 0, "projectsCount": 0, "totalDiscovered": 0, "newGroups": 0, '
    '"newProjects": 0}'))
  AS c (seq, details) USING (seq) ORDER BY t.seq;
SELECT is(count(*), 3::bigint, 'all are areas_discovered') FROM tallymark.timeline('job', 1) AS t WHERE t.event =
  'areas_discovered';

SELECT * FROM finish();
ROLLBACK;
