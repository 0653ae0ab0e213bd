-- A run is held against the runs of its series before it, and a run that is missing is noticed.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(37);

-- A run reports n items every 10 s, ten times, and completes after 100 s, unless it stops before.
CREATE FUNCTION pg_temp.run(run text, series text, began timestamptz, n integer, reports integer DEFAULT 10, every integer DEFAULT 10)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM tallymark.create_job(run, jsonb_build_object('series', series));
  PERFORM tallymark.merge_progress(run, jsonb_build_object('status', 'started', 'timestamp', began));
  PERFORM tallymark.merge_progress(run, jsonb_build_object('itemsByType', jsonb_build_object('pages', n),
    'timestamp', began + p * every * interval '1 second')) FROM generate_series(1, reports) AS p;
  IF reports = 10 THEN
    PERFORM tallymark.merge_progress(run, jsonb_build_object('status', 'completed', 'timestamp', began + 100 * interval '1 second'));
  END IF;
END
$$;
CREATE FUNCTION pg_temp.c(job_id text) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
  RETURN tallymark.job_series(job_id) -> 'comparison';
END
$$;
DO $$
BEGIN
  PERFORM pg_temp.run('r' || lpad(n::text, 2, '0'), 'nightly', now() - interval '1 day' * (21 - n), 100 + n) FROM generate_series(1, 12) AS n;
  PERFORM pg_temp.run('other', 'weekly', now() - interval '1 hour', 5, 3);
  PERFORM tallymark.create_job('alone');
END
$$;
SELECT is(jsonb_path_query_array(tallymark.series_runs('nightly', 3), '$.runs[*].id'), '["r12", "r11", "r10"]', 'the newest runs');
SELECT is((tallymark.series_runs('nightly') #> '{runs,0}') - '{createdAt,startedAt,finishedAt}'::text[],
  '{"id": "r12", "status": "finished", "seconds": 100, "items": 1120, "itemsByType": {"pages": 1120}, "percentage": null,
    "summary": "1120 pages", "shortfall": null}', 'what a run came to');
SELECT is(tallymark.series_runs('no such series'), '{"series": "no such series", "runs": [], "rhythm": null}', 'an unknown series has no runs');
SELECT throws_ok('SELECT tallymark.series_runs(NULL)', 'TK400', NULL, 'a series must be named');
SELECT is(tallymark.series_runs('nightly', id_prefix => 'r0') #>> '{runs,0,id}', 'r09', 'only of some ids');

-- A usual run, a run that has half of the items, and one that is twice as slow.
DO $$
BEGIN
  PERFORM pg_temp.run('usual', 'nightly', now() - interval '1 hour', 107, 4);
  PERFORM pg_temp.run('half', 'nightly', now() - interval '1 hour', 50, 4);
  PERFORM pg_temp.run('slow', 'nightly', now() - interval '1 hour', 107, 4, 20);
  PERFORM pg_temp.run('early', 'nightly', now() - interval '1 hour', 0, 1, 9);
END
$$;
SELECT is(pg_temp.c('usual') -> 'runs', '10', 'the last ten are looked at');
SELECT is(pg_temp.c('usual') -> 'elapsedSeconds', '40', 'by the time of the newest update');
SELECT is(pg_temp.c('usual') -> 'items', '428', 'what it has');
SELECT is(pg_temp.c('usual') -> 'usual', '430', 'the median at that time: 4 x 107.5');
SELECT is(pg_temp.c('usual') -> 'lowest', '412', 'the lowest');
SELECT is(pg_temp.c('usual') -> 'highest', '448', 'the highest');
SELECT is(pg_temp.c('usual') -> 'usualTotal', '1075', 'what they had in the end');
SELECT is(pg_temp.c('usual') -> 'expectedTotal', '1075', 'so much is expected');
SELECT is(pg_temp.c('usual') -> 'usualSeconds', '100', 'how long they took');
SELECT is((pg_temp.c('usual') -> 'expectedSeconds')::numeric BETWEEN 90 AND 110, true, 'a usual run will take as long');
SELECT is((pg_temp.c('usual') ->> 'expectedEnd')::timestamptz - now() + interval '1 hour' BETWEEN interval '90 s' AND interval '110 s', true,
  'and end then');
SELECT is(pg_temp.c('usual') -> 'unusual', 'false', 'it is not unusual');
SELECT is(pg_temp.c('half') -> 'items', '200', 'half of the items');
SELECT is(pg_temp.c('half') -> 'unusual', 'true', 'are unusual');
SELECT is((pg_temp.c('half') -> 'expectedSeconds')::numeric BETWEEN 180 AND 220, true, 'it will take twice as long');
SELECT is((pg_temp.c('slow') -> 'expectedSeconds')::numeric BETWEEN 180 AND 220, true, 'and so will one that is as slow');
SELECT is(pg_temp.c('early') -> 'unusual', 'false', 'nothing is unusual before a tenth of the time');
SELECT is(pg_temp.c('early') -> 'expectedSeconds', '100', 'and the usual time is expected');
SELECT is(pg_temp.c('r02') -> 'runs', '1', 'a run is held against those before it');
SELECT is(pg_temp.c('r01'), '{"runs": 0, "items": 1010, "usual": null, "lowest": null, "highest": null, "unusual": false,
  "usualTotal": null, "expectedEnd": null, "usualSeconds": null, "expectedTotal": null, "elapsedSeconds": 100,
  "expectedSeconds": null}', 'the first against none');
SELECT is(pg_temp.c('alone'), 'null', 'and a job without a series not at all');
SELECT is(tallymark.job_series('alone') - 'run', '{"id": "alone", "series": null, "comparison": null, "rhythm": null, "runs": []}', 'it has no runs');
SELECT is(tallymark.job_series('half', 'slow') #> '{other,pace,0}', '[20, 107]', 'two runs side by side');
SELECT is(tallymark.job_series('half', 'slow') #> '{run,pace,0}', '[10, 50]', 'each with its pace');
SELECT is(jsonb_path_query_array(tallymark.job_series('usual', max_runs => 2), '$.runs[*].id'), '["r12", "r11"]', 'and the runs before');
SELECT throws_ok($$ SELECT tallymark.job_series('half', 'no such job') $$, 'TK404', NULL, 'the other one must be there');
SELECT throws_ok($$ SELECT tallymark.job_series('no such job') $$, 'TK404', NULL, 'and so must the job');

-- Notes for the runs that a running one is held against; all stays as it is.
CREATE TEMPORARY TABLE before AS SELECT pg_temp.c('half') AS c;
SELECT is(tallymark.note_paces() >= 10, true, 'their paces are noted');
SELECT is((SELECT count(*) FROM tallymark.job_pace WHERE job_id LIKE 'r__'), 10::bigint, 'those of the last ten');
SELECT is(pg_temp.c('half'), (SELECT c FROM before), 'which changes nothing');
DO $$ BEGIN PERFORM tallymark.prune_job('r' || lpad(n::text, 2, '0'), 'infinity', 0) FROM generate_series(1, 12) AS n; END $$;
SELECT is(pg_temp.c('half'), (SELECT c FROM before), 'nor does pruning');
SELECT is((SELECT facts - 'since' FROM tallymark.alert_conditions() WHERE kind = 'unusual' AND job_id = 'half'),
  '{"series": "nightly", "runs": 10, "items": 200, "usual": 430, "lowest": 412, "elapsedSeconds": 40}', 'and operators are told');

SELECT * FROM finish();
ROLLBACK;
