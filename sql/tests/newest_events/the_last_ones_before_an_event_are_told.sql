-- The end of the timeline up to an event is returned, so that a job can be shown as it was then.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(4);

DO $$
BEGIN
  PERFORM tallymark.create_job('newest');
  PERFORM tallymark.merge_progress('newest', jsonb_build_object('processedItems', n)) FROM generate_series(1, 9) AS n;
END
$$;
CREATE FUNCTION pg_temp.seqs(up_to bigint, most integer) RETURNS jsonb LANGUAGE sql
RETURN (SELECT jsonb_agg(e -> 'seq') FROM jsonb_array_elements(tallymark.newest_events('newest', up_to, most)) AS e);

SELECT is(pg_temp.seqs(9, 3), '[7, 8, 9]', 'the newest three');
SELECT is(pg_temp.seqs(4, 3), '[2, 3, 4]', 'the newest three up to an event');
SELECT is(pg_temp.seqs(4, NULL), '[1, 2, 3, 4]', 'all, where there are fewer than 100');
SELECT is(tallymark.newest_events('newest', 0, 3), '[]', 'none before the first');

SELECT * FROM finish();
ROLLBACK;
