-- The ledger alone gives the areas that a job had after any event, whatever happened to the rows.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(7);

DO $$
BEGIN
  PERFORM tallymark.create_job('job');
  PERFORM tallymark.merge_progress('job', u.value) FROM jsonb_array_elements('[
    {"updateId": "a", "timestamp": "2025-01-06T10:02:00Z", "areas": [{"fullPath": "g", "type": "group", "name":
      "new"}]},
    {"updateId": "b", "timestamp": "2025-01-06T10:01:00Z", "areas": [{"fullPath": "g", "type": "project", "webUrl":
      "old", "name": "old"}]},
    {"updateId": "c", "timestamp": "2025-01-06T10:03:00Z", "areas": []},
    {"updateId": "d", "timestamp": "2025-01-06T10:03:00Z", "areas": [{"fullPath": "h", "type": "project"}]}]') AS u;
END
$$;
SELECT is(
  (SELECT string_agg(f.full_path || ' ' || f.details::text || ' ' || tallymark.iso_timestamp(f.discovered_at), ', '
    ORDER BY f.full_path)
    FROM tallymark.fold_areas('job', c.seq) AS f), c.areas, 'up to ' || coalesce(c.seq::text, 'the end'))
FROM (VALUES (1, 0, NULL), (2, 1, 'g {"name": "new", "type": "group"} 2025-01-06T10:02:00.000Z'),
  (3, 3, 'g {"name": "new", "type": "group", "webUrl": "old"} 2025-01-06T10:01:00.000Z'),
  (4, NULL, 'g {"name": "new", "type": "group", "webUrl": "old"} 2025-01-06T10:01:00.000Z, '
    'h {"type": "project"} 2025-01-06T10:03:00.000Z')) AS c (number, seq, areas) ORDER BY c.number;
SELECT
  results_eq($$ SELECT f.full_path COLLATE "C", f.details, f.clocks, f.discovered_at FROM tallymark.fold_areas('job') AS
  f ORDER BY 1 $$,
  $$ SELECT a.full_path, a.details, a.clocks, a.discovered_at FROM tallymark.job_area AS a WHERE a.job_id = 'job' ORDER
    BY 1 $$,
  'as the rows have it, clocks and all');
SELECT is(count(*), 0::bigint, 'a job that is not known has none') FROM tallymark.fold_areas('unknown');
SELECT is(count(*), 0::bigint, 'nor has null') FROM tallymark.fold_areas(NULL);

SELECT * FROM finish();
ROLLBACK;
