-- A watcher gets only the jobs whose last event is not the one that it knows, with the events between. So a call after
-- which nothing happened costs almost nothing.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(29);
\ir ../helpers.psql

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
SELECT is(pg_temp.told('{A}', ARRAY[NULL]::bigint[]), 'A 10 0', 'or passes null');
SELECT is(pg_temp.told('{A,B}', '{10}'), 'B 10 0', 'or leaves the number out');
SELECT is(pg_temp.told('{new}', '{-1}'), 'new 0 0', 'the same for a job without events');
SELECT is(pg_temp.told('{A}', '{12}'), 'A 10 1,2,3,4,5,6,7,8,9,10 0',
  'a job that was registered again is given from its start');
SELECT is(pg_temp.told('{new}', '{5}'), 'new 0 0', 'also where it has no events yet');
SELECT is(pg_temp.told('{nobody,B}', '{5,10}'), 'nobody gone', 'a job that was deleted is gone');
SELECT is(pg_temp.told('{nobody}', '{-1}'), 'nobody gone', 'and so is one that never existed');
SELECT is(pg_temp.told(ARRAY[NULL, 'A'], '{1,9}'), 'A 10 10 0', 'a null id is ignored');
SELECT is(c -> 'job', tallymark.get_job('A') #- '{progress,timeline}', 'the job is as it is read alone')
FROM jsonb_array_elements(tallymark.job_changes('{A}', '{9}')) AS c;
SELECT is(c ->> 'tag', (SELECT r.tag FROM tallymark.read_job('A') AS r), 'with the same tag')
FROM jsonb_array_elements(tallymark.job_changes('{A}', '{9}')) AS c;
SELECT is(c -> 'events', tallymark.timeline_page('A', 8) -> 'events', 'and the events as they are read')
FROM jsonb_array_elements(tallymark.job_changes('{A}', '{8}')) AS c;


-- A caller that passes the marks of what it knows is also told where a backup was restored: the event that it knows is
-- another one. `mark` is the last part of the tag.
CREATE FUNCTION pg_temp.mark(id text) RETURNS bigint LANGUAGE sql RETURN (
  SELECT ('x' || lpad(split_part(r.tag, '-', 3), 16, '0'))::bit(64)::bigint FROM tallymark.read_job(id) AS r);
CREATE FUNCTION pg_temp.with_mark(seq bigint, mark bigint) RETURNS text LANGUAGE sql RETURN (
  SELECT string_agg(concat_ws(' ', c ->> 'lastSeq', jsonb_array_length(c -> 'events'), c ->> 'replaced'), '; ')
  FROM jsonb_array_elements(tallymark.job_changes('{A}', ARRAY[seq], 200, ARRAY[mark])) AS c);
CREATE TEMPORARY TABLE known AS SELECT pg_temp.mark('A') AS mark;

SELECT is(pg_temp.with_mark(10, mark), NULL, 'nothing happened') FROM known;
SELECT is(pg_temp.with_mark(10, mark + 1), '10 0 true', 'the same number, and another event') FROM known;
SELECT is(pg_temp.with_mark(10, NULL), NULL, 'a caller without a mark is not told') FROM known;
DO $$ BEGIN PERFORM tallymark.merge_progress('A', '{"processedItems": 11}'); END $$;
SELECT is(pg_temp.with_mark(10, mark), '11 1', 'the ledger goes on') FROM known;
SELECT is(pg_temp.with_mark(10, mark - 1), '11 0 true', 'or another one does') FROM known;
SELECT is(pg_temp.with_mark(12, mark), '11 11', 'a backup has fewer events') FROM known;
DO $$ BEGIN PERFORM tallymark.request_command('A', 'pause'); END $$;
SELECT is(pg_temp.with_mark(12, pg_temp.mark('A')), NULL, 'a command is an event, too');
SELECT is(pg_temp.with_mark(12, pg_temp.mark('A') + 1), '12 0 true', 'and it may be another one');
SELECT pg_temp.move('job_event', 'recorded_at', '-1 year', $c$job_id = 'A' AND seq <= 11$c$);
DO $$ BEGIN PERFORM tallymark.prune_job('A', now() - interval '1 month', 1); END $$;
SELECT is(pg_temp.with_mark(10, mark + 1), '12 1', 'nobody can tell of an event that was pruned') FROM known;

SELECT * FROM finish();
ROLLBACK;
