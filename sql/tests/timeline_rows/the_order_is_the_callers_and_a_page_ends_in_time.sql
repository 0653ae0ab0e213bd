-- The rows keep the order in which they are handed over, and a page is never larger than it may be, nor empty.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(6);

CREATE FUNCTION pg_temp.event(seq bigint, bytes integer) RETURNS tallymark.job_event LANGUAGE sql
RETURN ROW('job', seq, 'own', NULL, now(), now(), NULL, jsonb_build_object('m', repeat('x', bytes)))::tallymark.job_event;
CREATE FUNCTION pg_temp.seqs(events tallymark.job_event[]) RETURNS bigint[] LANGUAGE sql AS $$
  SELECT ARRAY(SELECT r.seq FROM tallymark.timeline_rows('job', events) AS r)
$$;
SELECT tallymark.create_job('job');

SELECT is(pg_temp.seqs(ARRAY[pg_temp.event(3, 1), pg_temp.event(1, 1), pg_temp.event(2, 1)]), '{3,1,2}', 'as they came');
SELECT is(pg_temp.seqs(ARRAY[pg_temp.event(2, 9000000), pg_temp.event(3, 9000000), pg_temp.event(4, 1)]), '{2}',
  'what is too much is left for the next page, and so is all behind it');
SELECT is(pg_temp.seqs(ARRAY[pg_temp.event(2, 17000000), pg_temp.event(3, 1)]), '{2}', 'the first one always fits');
SELECT is(pg_temp.seqs('{}'), '{}', 'none');
SELECT throws_ok($$SELECT FROM tallymark.timeline_rows('no such job', '{}')$$, 'TK404', NULL, 'no such job');
SELECT is(has_function_privilege(r, 'tallymark.timeline_rows(text, tallymark.job_event[])', 'EXECUTE'), false,
  r || ' reads it through timeline only') FROM unnest('{tallymark_reader}'::text[]) AS r;

SELECT * FROM finish();
ROLLBACK;
