-- The one promise, for areas: all 120 orders of five updates, with duplicates among them, give the same areas, members
-- and counts, and the same fold, also where an area turns out to be of another type.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(7);
\ir ../helpers.psql


CREATE TEMPORARY TABLE ended AS SELECT state FROM pg_temp.outcomes('[
  {"updateId": "a", "timestamp": "2025-01-06T10:00:00Z", "status": "new_areas_discovered", "areas": [
    {"fullPath": "g", "type": "group", "name": "one", "gitlabId": 7}, {"fullPath": "g/p", "type": "project"},
    {"fullPath": "g", "type": "Group", "webUrl": "u", "name": null}]},
  {"updateId": "b", "timestamp": "2025-01-06T10:01:00Z", "status": "processing", "itemsByType": {"groups": 9, "issues":
    2},
    "areas": [{"fullPath": "g", "type": "project", "description": "now a project"}]},
  {"updateId": "c", "timestamp": "2025-01-06T10:01:00Z", "itemsByType": {"groups": 3}, "workerId": "w", "groupCount":
    4},
  {"updateId": "d", "timestamp": "2025-01-06T10:02:00Z", "status": "completed", "areas": [
    {"fullPath": "g", "type": "group"}, {"fullPath": "G", "type": "project"}, {"fullPath": "x", "type": "other"}]},
  {"updateId": "e", "timestamp": "2025-01-06T10:02:00Z", "status": "new_areas_discovered", "areas": [], "counting":
    "cumulative",
    "itemsByType": {"issues": 5, "projects": 8}}]') AS state;
SELECT is(count(*), 120::bigint, 'every order was tried, and every ledger folds to its state, at each step') FROM ended;
SELECT is(count(DISTINCT state), 1::bigint, 'all end in one and the same state') FROM ended;
SELECT is(max(state::text)::jsonb #> '{progress,itemsByType}', '{"groups": 8, "projects": 2, "issues": 7}',
  'g, and 3 + 4 that others counted; G and g/p; the counts that came with areas are not added') FROM ended;
SELECT is(max(state::text)::jsonb #> '{areas,1,details}',
  '{"name": "one", "type": "group", "webUrl": "u", "externalId": 7, "description": "now a project"}',
  'each member of an area is the newest that was given') FROM ended;
SELECT is(max(state::text)::jsonb #> '{progress,lastAreasDiscovery}',
  '{"timestamp": "2025-01-06T10:02:00.000Z", "groupsCount": 0, "projectsCount": 0, "totalDiscovered": 0}',
  'the last discovery is that of the newest areas update, on a tie of the larger key') FROM ended;

TRUNCATE ended;
INSERT INTO ended SELECT state FROM pg_temp.outcomes('[
  {"updateId": "b", "timestamp": "2025-01-06T10:00:00Z", "areas": [{"fullPath": "g", "type": "group"}]},
  {"updateId": "d", "timestamp": "2025-01-06T10:00:00Z", "areas": [{"fullPath": "g", "type": "project"}]},
  {"updateId": "a", "timestamp": "2025-01-06T10:00:00Z", "areas": [{"fullPath": "g", "type": "x"}, {"fullPath": "h",
    "type": "group"}]},
  {"updateId": "c", "timestamp": "2025-01-06T10:00:00Z", "areas": [{"fullPath": "h", "type": "x", "name": "n"}]}]') AS
    state;
SELECT is(count(*) || ' orders, states: ' || count(DISTINCT state), '24 orders, states: 1',
  'four types of one instant give one state')
FROM ended;
SELECT is(max(state::text)::jsonb #> '{progress,itemsByType}', '{"groups": 0, "projects": 1}', 'that of the larger key')
  FROM ended;

SELECT * FROM finish();
ROLLBACK;
