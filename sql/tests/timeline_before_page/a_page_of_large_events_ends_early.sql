-- Events of a megabyte each do not make a page too large for one JSON document: the page ends early, and "next"
-- continues.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(4);

DO $$
BEGIN
  PERFORM tallymark.create_job('job');
  PERFORM tallymark.merge_progress('job',
    jsonb_build_object('updateId', n, 'credentialStatus', jsonb_build_object('x', repeat('y', 1000000))))
  FROM (SELECT n::text FROM generate_series(1, 20) AS n) AS s (n);
END
$$;
CREATE TEMPORARY TABLE page AS SELECT tallymark.timeline_before_page('job', NULL, 1000) AS first;

SELECT is(jsonb_array_length(first -> 'events'), 16, 'as many as 16 MB hold') FROM page;
SELECT is(first -> 'next', '5', 'next goes on before them') FROM page;
SELECT is(jsonb_array_length(tallymark.timeline_before_page('job', 5, 1000) -> 'events'), 4,
  'the rest is the last page');
SELECT is(tallymark.timeline_before_page('job', 5, 1000) ->> 'next', NULL, 'and there is no next');

SELECT * FROM finish();
ROLLBACK;
