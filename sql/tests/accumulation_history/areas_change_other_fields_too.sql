-- Areas are counted among all items, and their types take the place of others where a job has too many.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(4);

-- With so few names that three updates fill them.
CREATE OR REPLACE FUNCTION tallymark.most_names() RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN 3;
DO $$
BEGIN
  PERFORM tallymark.create_job('job'), tallymark.create_job('sum');
  PERFORM tallymark.merge_progress('job', u.value || '{"status": "processing", "timestamp": "2025-01-06T10:00:00Z"}')
  FROM jsonb_array_elements('[{"updateId": "1", "itemsByType": {"issues": 5}},
    {"updateId": "2", "itemKeys": {"b": ["key"]}},
    {"updateId": "3", "itemsByType": {"a": 1}, "areas": [{"type": "project", "fullPath": "x/y"}]},
    {"updateId": "4", "itemsByType": {"zz": 2}}]') AS u;
  PERFORM tallymark.merge_progress('sum', u.value || '{"status": "processing", "timestamp": "2025-01-06T10:00:00Z"}')
  FROM jsonb_array_elements('[{"updateId": "1", "totalItems": 4, "itemKeys": {"pages": ["key"]}},
    {"updateId": "2", "areas": [{"type": "project", "fullPath": "x/y"}, {"type": "group", "fullPath": "x"}]},
    {"updateId": "3", "processedItems": 1}]') AS u;
END
$$;
CREATE FUNCTION pg_temp.history(job text, field text) RETURNS jsonb LANGUAGE sql
RETURN (SELECT jsonb_agg(h.value ORDER BY h.seq) FROM tallymark.accumulation_history(job, field) AS h);
CREATE FUNCTION pg_temp.as_it_was(job text, path text[]) RETURNS jsonb LANGUAGE sql
RETURN (SELECT jsonb_agg(tallymark.job_at(job, n) #> path ORDER BY n) FROM generate_series(1, 3) AS n);

SELECT is(pg_temp.history('job', 'itemsByType.issues'), '[5, null]', 'a type without a place any more');
SELECT is(pg_temp.history('job', 'itemsByType.'), jsonb_build_array(tallymark.get_job('job') #> '{progress,itemsByType,""}'),
  'what the types without a place add up to');
SELECT is(pg_temp.history('sum', 'percentage'), pg_temp.as_it_was('sum', '{percentage}'), 'the percentage of all types');
SELECT is(pg_temp.history('sum', 'summary'), pg_temp.as_it_was('sum', '{summary}'), 'and the words for it');

SELECT * FROM finish();
ROLLBACK;
