-- A caller that polls passes the tag that it has, and gets the job only where it has changed since.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(14);

CREATE FUNCTION pg_temp.tag(id text) RETURNS text LANGUAGE sql RETURN (SELECT r.tag FROM tallymark.read_job(id) AS r);
CREATE TEMPORARY TABLE seen (what text, tag text);
DO $$
BEGIN
  PERFORM tallymark.create_job('polled');
  INSERT INTO seen VALUES ('registered', pg_temp.tag('polled'));
  PERFORM tallymark.merge_progress('polled', '{"updateId": "1", "processedItems": 1}');
  INSERT INTO seen VALUES ('reported', pg_temp.tag('polled'));
  PERFORM tallymark.merge_progress('polled', '{"updateId": "1", "processedItems": 1}');
  INSERT INTO seen VALUES ('duplicate', pg_temp.tag('polled'));
END
$$;

SELECT is((SELECT r.job FROM tallymark.read_job('polled', 5) AS r), tallymark.get_job('polled', 5),
  'without a tag the job is what get_job gives');
SELECT isnt((SELECT tag FROM seen WHERE what = 'reported'), (SELECT tag FROM seen WHERE what = 'registered'),
  'an update changes the tag');
SELECT is((SELECT tag FROM seen WHERE what = 'duplicate'), (SELECT tag FROM seen WHERE what = 'reported'),
  'a duplicate does not');
SELECT is((SELECT r.job FROM tallymark.read_job('polled', 5, ARRAY['x', pg_temp.tag('polled')]) AS r), NULL,
  'who knows the tag is not given the job');
SELECT is((SELECT r.tag FROM tallymark.read_job('polled', 5, ARRAY[pg_temp.tag('polled')]) AS r), pg_temp.tag('polled'),
  'but the tag');
SELECT is((SELECT r.job FROM tallymark.read_job('polled', 5, '{*}') AS r), NULL, 'nor who knows any');
SELECT isnt((SELECT r.job FROM tallymark.read_job('polled', 5, c.tags) AS r), NULL, c.words)
FROM (VALUES (1, NULL::text[], 'null is no tag'), (2, ARRAY[NULL], 'nor is an array of it'),
  (3, ARRAY[(SELECT tag FROM seen WHERE what = 'registered')], 'nor is an old one')) AS c (number, tags, words)
ORDER BY c.number;
INSERT INTO seen VALUES ('before', pg_temp.tag('polled'));
DELETE FROM tallymark.job WHERE id = 'polled';
DELETE FROM tallymark.job_event WHERE job_id = 'polled';
DO $$
BEGIN
  PERFORM tallymark.create_job('polled');
  PERFORM tallymark.merge_progress('polled', '{"updateId": "1", "processedItems": 1}');
END
$$;
SELECT isnt(pg_temp.tag('polled'), (SELECT tag FROM seen WHERE what = 'before'),
  'a job that was deleted and registered again is another one');

-- A ledger that was restored from a backup goes on with other events, under the numbers of those that are lost.
CREATE FUNCTION pg_temp.restore_and(what text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  v_tag text;
BEGIN
  BEGIN
    EXECUTE what;
    v_tag := pg_temp.tag('polled');
    RAISE EXCEPTION 'restored';
  EXCEPTION WHEN raise_exception THEN
    RETURN v_tag;
  END;
END
$$;
SELECT isnt(pg_temp.restore_and(c.what), pg_temp.restore_and(c.what), c.words)
FROM (VALUES (1, 'SELECT tallymark.merge_progress(''polled'', ''{"processedItems": 2}'')', 'another update is another state'),
  (2, 'SELECT tallymark.merge_progress_batch(''[{"taskId": "polled", "status": "processing", "timestamp": "2025-01-01"}]'')',
    'even if its content is the same'),
  (3, 'SELECT tallymark.request_command(''polled'', ''pause'')', 'and so is another command')) AS c (number, what, words)
ORDER BY c.number;
SELECT throws_ok($$ SELECT tallymark.read_job('nobody') $$, 'TK404', NULL, 'an unknown job is refused');

SELECT * FROM finish();
ROLLBACK;
