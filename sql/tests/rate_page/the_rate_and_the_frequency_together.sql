-- One document has what a dashboard shows about the speed of a running job.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(4);

DO $$
BEGIN
  PERFORM tallymark.create_job('rate');
  PERFORM tallymark.merge_progress('rate', jsonb_build_object('processedItems', n, 'totalItems', 10))
    FROM generate_series(1, 3) AS n;
END
$$;

SELECT is((SELECT array_agg(k ORDER BY k COLLATE "C") FROM jsonb_object_keys(tallymark.rate_page('rate')) AS k),
  '{eta,etaSeconds,etaSecondsHigh,etaSecondsLow,frequency,high,id,itemsLeft,itemsPerSecond,low,updates,
    windowSeconds}'::text[],
  'its members');
SELECT is(tallymark.rate_page('rate', '7 s') -> 'windowSeconds', '7', 'over the window that was asked for');
SELECT is(tallymark.rate_page('rate') #> '{frequency,updates}', '3', 'and how often it is reported on');
SELECT throws_ok($$ SELECT tallymark.rate_page('nobody') $$, 'TK404', NULL, 'an unknown job is refused');

SELECT * FROM finish();
ROLLBACK;
