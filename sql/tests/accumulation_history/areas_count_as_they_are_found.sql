-- New areas increase the counts of groups and projects, and an area that turns out to be of another type moves one
-- count to the other. The history agrees with the job as it was.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(4);

DO $$
BEGIN
  PERFORM tallymark.create_job('areas');
  PERFORM tallymark.merge_progress('areas', u) FROM jsonb_array_elements('[
    {"timestamp": "2025-01-06T10:00:00Z", "status": "started", "groupCount": 2},
    {"timestamp": "2025-01-06T10:01:00Z", "areas": [{"fullPath": "g", "type": "group"}, {"fullPath": "g/p",
      "type": "project"}]},
    {"timestamp": "2025-01-06T10:02:00Z", "itemsByType": {"projects": 5}},
    {"timestamp": "2025-01-06T10:03:00Z", "areas": [{"fullPath": "g", "type": "group"}, {"fullPath": "g/p",
      "type": "group"},
      {"fullPath": "g/q", "type": "project"}]},
    {"timestamp": "2025-01-06T10:02:30Z", "areas": [{"fullPath": "g/q", "type": "group"}, {"fullPath": "h",
      "type": "group"}]}]')
    AS u;
END
$$;

SELECT is((SELECT jsonb_agg(h.value ORDER BY h.seq) FROM tallymark.accumulation_history('areas',
  'itemsByType.' || t.type, 1) AS h
    WHERE h.seq > 1),
  (SELECT jsonb_agg(v.value ORDER BY v.seq) FROM (
    SELECT n.seq, tallymark.job_at('areas', n.seq) #> ARRAY['progress', 'itemsByType', t.type] AS value,
      lag(tallymark.job_at('areas', n.seq) #> ARRAY['progress', 'itemsByType', t.type]) OVER (ORDER BY n.seq) AS before
    FROM generate_series(1, 5) AS n (seq)) AS v WHERE v.seq > 1 AND v.value IS DISTINCT FROM v.before),
      t.type || ' page by page')
FROM unnest('{groups,projects}'::text[]) AS t (type);
SELECT is((SELECT h.value FROM tallymark.accumulation_history('areas', 'itemsByType.' || t.type) AS h
  ORDER BY h.seq DESC LIMIT 1),
  tallymark.get_job('areas') #> ARRAY['progress', 'itemsByType', t.type], t.type || ' end as the job has them')
FROM unnest('{groups,projects}'::text[]) AS t (type);

SELECT * FROM finish();
ROLLBACK;
