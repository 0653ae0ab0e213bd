-- A watcher gets only the jobs whose last event is not the one that it knows, with the events between. So a call after
-- which nothing happened costs almost nothing.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(20);

DO $$
BEGIN
  PERFORM tallymark.create_job(id) FROM unnest('{A,B,new}'::text[]) AS id;
  PERFORM tallymark.merge_progress(id, jsonb_build_object('processedItems', n))
  FROM unnest('{A,B}'::text[]) AS id, generate_series(1, 10) AS n;
END
$$;
CREATE FUNCTION pg_temp.told(ids text[], seqs bigint[], most integer DEFAULT NULL) RETURNS text LANGUAGE sql RETURN (
  SELECT string_agg(concat_ws(' ', c ->> 'id', CASE WHEN c ? 'gone' THEN 'gone' END, c ->> 'lastSeq',
      (SELECT string_agg(e ->> 'seq', ',' ORDER BY e.number) FROM jsonb_array_elements(c -> 'events')
        WITH ORDINALITY AS e (e, number)), c ->> 'skipped'), '; ' ORDER BY c ->> 'id')
  FROM jsonb_array_elements(tallymark.job_changes(ids, seqs, most)) AS c);

SELECT is(tallymark.job_changes('{A,B}', '{10,10}'), '[]', 'nothing happened');
SELECT is(tallymark.job_changes('{new}', '{0}'), '[]', 'nor did it to a job without events');
SELECT is(tallymark.job_changes('{}', '{}'), '[]', 'no jobs are asked for');
SELECT is(tallymark.job_changes(NULL, NULL), '[]', 'null arrays give none');
SELECT is(pg_temp.told('{A,B}', '{8,10}'), 'A 10 9,10 0', 'the events after the known one');
SELECT is(pg_temp.told('{A}', '{0}'), 'A 10 1,2,3,4,5,6,7,8,9,10 0', 'all events');
SELECT is(pg_temp.told('{A}', '{2}', 3), 'A 10 8,9,10 5', 'the newest of them, and how many were left out');
SELECT is(pg_temp.told('{A}', '{2}', 0), 'A 10 8', 'max_events 0 gives no events');
SELECT is(pg_temp.told('{A}', '{-1}'), 'A 10 0', 'only the job, for a caller that knows nothing');
SELECT is(pg_temp.told('{A}', '{NULL}'), 'A 10 0', 'or passes null');
SELECT is(pg_temp.told('{A,B}', '{10}'), 'B 10 0', 'or leaves the number out');
SELECT is(pg_temp.told('{new}', '{-1}'), 'new 0 0', 'the same for a job without events');
SELECT is(pg_temp.told('{A}', '{12}'), 'A 10 1,2,3,4,5,6,7,8,9,10 0',
  'a job that was registered again is given from its start');
SELECT is(pg_temp.told('{new}', '{5}'), 'new 0 0', 'also where it has no events yet');
SELECT is(pg_temp.told('{nobody,B}', '{5,10}'), 'nobody gone', 'a job that was deleted is gone');
SELECT is(pg_temp.told('{nobody}', '{-1}'), 'nobody gone', 'and so is one that never existed');
SELECT is(pg_temp.told('{NULL,A}', '{1,9}'), 'A 10 10 0', 'a null id is ignored');
SELECT is(c -> 'job', tallymark.get_job('A') #- '{progress,timeline}', 'the job is as it is read alone')
FROM jsonb_array_elements(tallymark.job_changes('{A}', '{9}')) AS c;
SELECT is(c ->> 'tag', (SELECT r.tag FROM tallymark.read_job('A') AS r), 'with the same tag')
FROM jsonb_array_elements(tallymark.job_changes('{A}', '{9}')) AS c;
SELECT is(c -> 'events', tallymark.timeline_page('A', 8) -> 'events', 'and the events as they are read')
FROM jsonb_array_elements(tallymark.job_changes('{A}', '{8}')) AS c;

SELECT * FROM finish();
ROLLBACK;
