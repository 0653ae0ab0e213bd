-- Asking for the ids after the last one seen gives every job once, in the order of the bytes.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(5);

DO $$
BEGIN
  PERFORM tallymark.create_job('paged ' || id) FROM unnest('{b,a,B,z,10,9}'::text[]) AS id;
END
$$;
CREATE FUNCTION pg_temp.page(after_id text, max_jobs integer) RETURNS text LANGUAGE sql
RETURN (SELECT string_agg(substr(j.id, 7), ' ') FROM tallymark.job_ids(after_id, max_jobs) AS j);

SELECT is(pg_temp.page('paged', 6), '10 9 B a b z', 'the first page, in the order of the bytes');
SELECT is(pg_temp.page('paged', 2), '10 9', 'no more than were asked for');
SELECT is(pg_temp.page('paged 9', 2), 'B a', 'the page after an id');
SELECT is(pg_temp.page('paged x', 0), NULL, 'no jobs, when none were asked for');
SELECT cmp_ok((SELECT count(*) FROM tallymark.job_ids()), '>=', 6::bigint, 'by itself it begins with the first job');

SELECT * FROM finish();
ROLLBACK;
