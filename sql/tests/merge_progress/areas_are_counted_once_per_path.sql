-- An area that is discovered again is not counted again. A duplicate changes nothing. Counts of areas that a crawler
-- sends with them are left out, with a warning.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(18);

DO $$ BEGIN PERFORM tallymark.create_job('job'), tallymark.create_job('other'); END $$;
CREATE FUNCTION pg_temp.counts(job text DEFAULT 'job') RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  RETURN (SELECT (j.progress -> 'itemsByType')::text || ' ' || (SELECT count(*) FROM tallymark.job_area AS a WHERE a.job_id =
    j.id)
    || CASE WHEN tallymark.verify_job(j.id) THEN '' ELSE ' not verified' END
  FROM tallymark.job AS j WHERE j.id = $1);
END
$$;
CREATE FUNCTION pg_temp.sent(payload jsonb) RETURNS jsonb LANGUAGE sql AS
  $$ SELECT tallymark.merge_progress('job', $1) $$;
SELECT is(pg_temp.sent('{"timestamp": "2025-01-06T10:00:00Z", "status": "New_Areas_Discovered", "areas": [
    {"fullPath": "g", "type": "group"}, {"fullPath": "g", "type": "group"}, {"fullPath": "g/p", "type": "PROJECT"},
    {"fullPath": "u", "type": "user"}]}'),
  '{"seq": 1, "status": "received", "command": null, "message": "Areas discovery processed for task job: 1 groups, 1 '
    'projects",
    "warnings": [], "duplicate": false}', 'the answer tells what the update held, each path once');
SELECT is(pg_temp.counts(), '{"groups": 1, "projects": 1} 3', 'all of them were new');
SELECT is(pg_temp.sent('{"timestamp": "2025-01-06T10:01:00Z", "status": "new_areas_discovered", "areas": [
    {"fullPath": "g", "type": "group"}, {"fullPath": "h", "type": "group"}]}') ->> 'message',
  'Areas discovery processed for task job: 2 groups, 0 projects', 'the next update has one known area');
SELECT is(pg_temp.counts(), '{"groups": 2, "projects": 1} 4', 'and counts the other');
SELECT is(pg_temp.sent('{"timestamp": "2025-01-06T10:01:00Z", "status": "new_areas_discovered", "areas": [
    {"fullPath": "g", "type": "group"}, {"fullPath": "h", "type": "group"}]}') - 'message',
  '{"seq": 2, "status": "received", "command": null, "warnings": [], "duplicate": true}',
    'a duplicate is answered as one');
SELECT is(pg_temp.sent('{"timestamp": "2025-01-06T10:01:00Z", "status": "new_areas_discovered", "areas": [
    {"fullPath": "g", "type": "group"}, {"fullPath": "h", "type": "group"}]}') ->> 'message',
  'Areas discovery processed for task job: 2 groups, 0 projects', 'with the same message');
SELECT is(pg_temp.counts(), '{"groups": 2, "projects": 1} 4', 'and changes nothing');
DO
  $$ BEGIN PERFORM pg_temp.sent('{"updateId": "u", "timestamp": "2025-01-06T10:02:00Z", "areas": [{"fullPath": "h",
  "type": "group"}]}'); END $$;
SELECT is(jsonb_array_length(pg_temp.sent(
    '{"updateId": "u", "timestamp": "2025-01-06T10:03:00Z", "areas": [{"fullPath": "new", "type": "group"}]}') ->
      'warnings'), 1,
  'an updateId that is used again for other areas is a duplicate, with a warning');
SELECT is(pg_temp.counts(), '{"groups": 2, "projects": 1} 4', 'the other areas do not count');
SELECT is(jsonb_array_length(pg_temp.sent('{"timestamp": "2025-01-06T10:04:00Z", "itemsByType": {"groups": 50, '
  '"projects": 50, "issues": 2},
    "groupCount": 70, "projectCount": 70, "areas": [{"fullPath": "i", "type": "group"}]}') -> 'warnings'), 1,
  'counts of groups and projects that come along are left out, with one warning');
SELECT is(pg_temp.counts(), '{"groups": 3, "issues": 2, "projects": 1} 5', 'others count');
DO $$ BEGIN PERFORM pg_temp.sent('{"timestamp": "2025-01-06T10:05:00Z", "itemsByType": {"groups": 2}}'); END $$;
SELECT is(pg_temp.counts(), '{"groups": 5, "issues": 2, "projects": 1} 5',
  'those of an update without areas are added');
DO
  $$ BEGIN PERFORM pg_temp.sent('{"timestamp": "2025-01-06T10:06:00Z", "areas": [{"fullPath": "i", "type":
  "project"}]}'); END $$;
SELECT is(pg_temp.counts(), '{"groups": 4, "issues": 2, "projects": 2} 5',
  'a group that turns out to be a project is one');
SELECT is(pg_temp.sent('{"timestamp": "2025-01-06T10:07:00Z", "areas": [], "itemsByType": {}}') ->> 'message',
  'Progress update acknowledged for task job', 'areas may come with any status; the message is that of the status');
SELECT is(pg_temp.counts(), '{"groups": 4, "issues": 2, "projects": 2} 5', 'an empty list adds nothing');
SELECT is((SELECT progress -> 'lastAreasDiscovery' FROM tallymark.job WHERE id = 'job'),
  '{"timestamp": "2025-01-06T10:07:00.000Z", "groupsCount": 0, "projectsCount": 0, "totalDiscovered": 0}',
    'but is a discovery');
DO $$ BEGIN PERFORM tallymark.merge_progress('other', '{"areas": [{"fullPath": "g", "type": "group"}]}'); END $$;
SELECT is(pg_temp.counts('other'), '{"groups": 1, "projects": 0} 1', 'for another job it is new');
SELECT is(facets -> 'itemTypes', '["groups", "projects"]', 'which can be searched by them') FROM tallymark.job WHERE id
  = 'other';

SELECT * FROM finish();
ROLLBACK;
