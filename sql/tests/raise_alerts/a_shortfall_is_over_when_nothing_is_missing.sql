-- A job that finished short has one alert, over many rounds. It closes when a late report brings the rest, when the job starts
-- again, or when it is deleted; the next short end is another episode.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(8);

-- Which of the jobs have an open alert after another round, and how many alerts there were of them all.
CREATE FUNCTION pg_temp.raised() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  PERFORM tallymark.raise_alerts();
  RETURN (SELECT concat_ws(' of ', coalesce(string_agg(a.job_id, ',' ORDER BY a.job_id) FILTER (WHERE a.recovered_at IS NULL),
    'none'), count(*)) FROM tallymark.list_alerts(false, 10000) AS a
    WHERE a.kind = 'shortfall' AND a.job_id IN ('late', 'again', 'gone'));
END
$$;
CREATE FUNCTION pg_temp.reported(id text, payload jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM tallymark.merge_progress(id, payload || jsonb_build_object('updateId', gen_random_uuid()));
END
$$;
DO $$
BEGIN
  PERFORM tallymark.create_job(id), pg_temp.reported(id, '{"totalsByType": {"a": 3}, "itemsByType": {"a": 1}}')
  FROM unnest('{late,again,gone}'::text[]) AS j (id);
END
$$;
SELECT is(pg_temp.raised(), 'none of 0', 'what is left of a job that runs is not missing');
SELECT pg_temp.reported(id, '{"status": "completed"}') FROM unnest('{late,again,gone}'::text[]) AS j (id);
SELECT is(pg_temp.raised(), 'again,gone,late of 3', 'what is left of one that finished is');
SELECT is(pg_temp.raised(), 'again,gone,late of 3', 'once');
SELECT pg_temp.reported('late', '{"status": "completed", "itemsByType": {"a": 1}}');
SELECT is(pg_temp.raised(), 'again,gone,late of 3', 'a part of it is not all of it');
SELECT pg_temp.reported('late', '{"status": "completed", "failedByType": {"a": 1}}');
SELECT is(pg_temp.raised(), 'again,gone of 3', 'with the rest it is over');
SELECT pg_temp.reported('again', '{"status": "started"}');
SELECT pg_temp.reported('again', '{"status": "completed"}');
SELECT tallymark.delete_job('gone');
SELECT is(pg_temp.raised(), 'again of 4', 'a restart that ends short again is another episode');
SELECT pg_temp.reported('again', '{"status": "started"}');
SELECT is(pg_temp.raised(), 'none of 4', 'a job that runs again is short of nothing');
SELECT is(count(*), 2::bigint, 'two episodes') FROM tallymark.list_alerts(false) WHERE job_id = 'again' AND kind = 'shortfall';

SELECT * FROM finish();
ROLLBACK;
