-- A series has the rhythm of its last starts. The next run is missed when it has not started by that.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(19);

CREATE FUNCTION pg_temp.start(id text, series text, at timestamptz, status text DEFAULT 'completed') RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM tallymark.create_job(id, jsonb_build_object('series', series));
  PERFORM tallymark.merge_progress(id, jsonb_build_object('status', 'started', 'timestamp', at));
  PERFORM tallymark.merge_progress(id, jsonb_build_object('status', status, 'timestamp', at + interval '1 minute'));
END
$$;
CREATE FUNCTION pg_temp.missed(series text, at timestamptz) RETURNS jsonb LANGUAGE sql
RETURN tallymark.series_rhythm(series, as_of => at) -> 'missed';

DO $$
BEGIN
  PERFORM pg_temp.start('d' || n, 'daily', '2025-01-05T03:00:00Z'::timestamptz + n * interval '1 day') FROM generate_series(1, 5) AS n;
  -- From Monday to Friday, for two weeks.
  PERFORM pg_temp.start('w' || n, 'workdays', '2025-01-06T03:00:00Z'::timestamptz + n * interval '1 day')
  FROM generate_series(0, 11) AS n WHERE n % 7 < 5;
  PERFORM pg_temp.start('few' || n, 'few', '2025-01-05T03:00:00Z'::timestamptz + n * interval '1 day') FROM generate_series(1, 3) AS n;
  PERFORM tallymark.create_job('never', '{"series": "never"}');
END
$$;
SELECT is(tallymark.series_rhythm('daily', as_of => '2025-01-10T04:00:00Z'), '{"last": "d5", "lastStartedAt": "2025-01-10T03:00:00.000Z",
  "everySeconds": 86400, "dueAt": "2025-01-11T03:00:00.000Z", "missedAt": "2025-01-11T15:00:00.000Z", "missed": false}', 'the rhythm of a daily run');
SELECT is(pg_temp.missed('daily', '2025-01-11T14:59:59Z'), 'false', 'half a day late is not missed yet');
SELECT is(pg_temp.missed('daily', '2025-01-11T15:00:01Z'), 'true', 'then it is');
SELECT is(pg_temp.missed('workdays', '2025-01-19T23:00:00Z'), 'false', 'one that rests at weekends is not missed on a Sunday');
SELECT is(pg_temp.missed('workdays', '2025-01-21T03:00:00Z'), 'true', 'but on a Tuesday');
SELECT is(tallymark.series_rhythm('few') -> 'everySeconds', 'null', 'three runs are no rhythm');
SELECT is(tallymark.series_rhythm('few') -> 'missed', 'false', 'of which one could be missed');
SELECT is(tallymark.series_rhythm('never'), NULL, 'nor is a run that has not started');

-- A run that is still at work comes before the next.
DO $$ BEGIN PERFORM pg_temp.start('d6', 'daily', '2025-01-11T03:00:00Z', 'processing'); END $$;
SELECT is(pg_temp.missed('daily', '2025-02-01T00:00:00Z'), 'false', 'while a run is at work none is missed');
-- One that is registered has not started.
DO $$ BEGIN
  PERFORM tallymark.merge_progress('d6', '{"status": "completed", "timestamp": "2025-01-11T04:00:00Z"}');
  PERFORM tallymark.create_job('d7', '{"series": "daily"}');
END $$;
SELECT is(pg_temp.missed('daily', '2025-02-01T00:00:00Z'), 'true', 'a run that was only registered is missing');

-- The crawler of a run died without a word. The series went on after it, so the run holds up none.
DO $$ BEGIN
  PERFORM pg_temp.start('z' || n, 'with a dead run', '2025-01-05T03:00:00Z'::timestamptz + n * interval '1 day',
    CASE n WHEN 3 THEN 'processing' ELSE 'completed' END) FROM generate_series(1, 5) AS n;
END $$;
SELECT is(tallymark.series_rhythm('with a dead run') -> 'last', '"z5"', 'the last run has ended');
SELECT is(pg_temp.missed('with a dead run', '2025-01-12T03:00:00Z'), 'true', 'so the next is missed, whatever became of those before');

-- The alert opens once and closes when the next run starts. Here the runs start every hour.
DO $$
BEGIN
  PERFORM pg_temp.start('h' || n, 'hourly', now() - (7 - n) * interval '1 hour') FROM generate_series(1, 5) AS n;
END
$$;
SELECT is((SELECT c.job_id FROM tallymark.alert_conditions() AS c WHERE c.kind = 'missed' AND c.facts ->> 'series' = 'hourly'), 'h5', 'the alert names the last run');
SELECT is_empty($$ SELECT 1 FROM tallymark.alert_conditions() AS c WHERE c.facts ->> 'series' = 'daily' $$, 'what was missed long ago is left out');
DO $$ BEGIN PERFORM tallymark.raise_alerts(); PERFORM tallymark.raise_alerts(); END $$;
SELECT is((SELECT count(*) FROM tallymark.alert WHERE job_id = 'h5' AND kind = 'missed'), 1::bigint, 'one alert');
SELECT is((SELECT recovered_at FROM tallymark.alert WHERE job_id = 'h5' AND kind = 'missed'), NULL, 'which stays open');
DO $$ BEGIN PERFORM tallymark.create_job('h6', '{"series": "hourly"}'); PERFORM tallymark.raise_alerts(); END $$;
SELECT is((SELECT recovered_at FROM tallymark.alert WHERE job_id = 'h5' AND kind = 'missed'), NULL, 'a registration is no start');
DO $$ BEGIN PERFORM tallymark.merge_progress('h6', '{"status": "started"}'); PERFORM tallymark.raise_alerts(); END $$;
SELECT is((SELECT recovered_at IS NOT NULL FROM tallymark.alert WHERE job_id = 'h5' AND kind = 'missed'), true, 'the next start closes it');
SELECT is((SELECT count(*) FROM tallymark.alert WHERE kind = 'missed' AND facts ->> 'series' = 'hourly'), 1::bigint, 'and no other opens');

SELECT * FROM finish();
ROLLBACK;
