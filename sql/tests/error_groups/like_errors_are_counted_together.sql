-- The errors of all jobs are grouped by type and by what their messages have in common, with one of them as a sample.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(9);

DO $$
BEGIN
  PERFORM tallymark.create_job(id) FROM unnest('{G E1,G E2,G F1}'::text[]) AS id;
  PERFORM tallymark.merge_progress(u ->> 0, u -> 1 || jsonb_build_object('updateId', u::text))
    FROM jsonb_array_elements('[
    ["G E1", {"error": {"type": "G Timeout", "message": "after 30 s"}}], ["G E1", {"error": {"type": "G Timeout",
      "message": "after 7 s"}}],
    ["G E2", {"error": {"type": "G Timeout", "message": "after 12 s"}}], ["G E2", {"error": "after 12 s"}],
    ["G E2", {"status": "failed", "message": "gave up after 3"}], ["G E2", {"message": "all is well"}],
    ["G F1", {"error": {"type": "G Timeout", "message": "after 1 s"}, "timeline": [{"event": "error",
      "timestamp": "2025-01-06", "details": {"errorMessage": "own"}}]}]]') AS u;
END
$$;
CREATE FUNCTION pg_temp.groups(since timestamptz, most integer, prefix text) RETURNS text LANGUAGE sql RETURN (
  SELECT string_agg(concat_ws(' ', g.errors, 'on', g.jobs, quote_nullable(g.type), quote_nullable(g.message)), '; ')
  FROM tallymark.error_groups(since, most, prefix) AS g);

SELECT is(pg_temp.groups(NULL, NULL, 'G E'),
  '3 on 2 ''G Timeout'' ''after <number> s''; 1 on 1 NULL ''gave up after <number>''; '
  '1 on 1 NULL ''after <number> s''', 'the most frequent first, of the others the newest');
SELECT is(pg_temp.groups(NULL, 1, 'G '), '4 on 3 ''G Timeout'' ''after <number> s''',
  'at most max_groups');
SELECT is(array_agg(g.errors), '{4}', 'without a prefix those of all jobs')
FROM tallymark.error_groups(NULL, 1000) AS g WHERE g.type = 'G Timeout';
SELECT is(pg_temp.groups(now() + interval '1 day', NULL, NULL), NULL, 'none since then');
SELECT is((g.sample_job, g.sample_seq, g.sample)::text, '("G E2",1,"after 12 s")', 'the newest is shown')
FROM tallymark.error_groups(NULL, 1, 'G E') AS g;
SELECT ok(g.first_seen < g.last_seen, 'when it was seen first and last') FROM tallymark.error_groups(NULL, 1, 'G E') AS g;
SELECT is(g.last_seen, (SELECT e.recorded_at FROM tallymark.job_event AS e WHERE e.job_id = 'G E2' AND e.seq = 1),
  'by the server''s clock') FROM tallymark.error_groups(NULL, 1, 'G E') AS g;
SELECT ok(tallymark.errors_page(NULL, 1, 'G E') #> '{errors,0}' @> '{"type": "G Timeout", "message": "after <number> s",
  "count": 3, "jobs": 2, "sample": {"taskId": "G E2", "seq": 1, "message": "after 12 s"}}', 'as JSON');
SELECT is(tallymark.errors_page(now() + interval '1 day') -> 'errors', '[]', 'none as JSON');

SELECT * FROM finish();
ROLLBACK;
