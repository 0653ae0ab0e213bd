-- Events of a megabyte each do not make a page too large for one JSON document: the page ends early, and "next"
-- continues.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(5);

DO $$
BEGIN
  PERFORM tallymark.create_job('job');
  PERFORM tallymark.merge_progress('job',
    jsonb_build_object('updateId', n, 'credentialStatus', jsonb_build_object('x', repeat('y', 1000000))))
  FROM (SELECT n::text FROM generate_series(1, 40) AS n) AS s (n);
END
$$;

SELECT is(jsonb_array_length(tallymark.timeline_page('job', 0, 1000) -> 'events'), 16, 'as many as 16 MB hold');
SELECT is(tallymark.timeline_page('job', 0, 1000) -> 'next', '16', 'next goes on behind them');
SELECT is(jsonb_array_length(tallymark.timeline_page('job', 32, 1000) -> 'events'), 8, 'the rest is the last page');
SELECT is(tallymark.timeline_page('job', 32, 1000) ->> 'next', NULL, 'and there is no next');
SELECT is(jsonb_array_length(tallymark.get_job('job', 1000) #> '{progress,timeline}'), 16, 'a job shows the newest of them');

SELECT * FROM finish();
ROLLBACK;
