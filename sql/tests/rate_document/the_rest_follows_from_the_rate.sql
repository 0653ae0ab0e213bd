-- The end of the work follows from the rate and from the ends of its interval. Values that are not known are null.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(4);

SELECT is(tallymark.rate_document(2, 1, 100, '2025-01-06 10:00Z'), '{"itemsPerSecond": 2, "low": 1, "high": 3,
  "itemsLeft": 100, "etaSeconds": 50, "etaSecondsLow": 33.333, "etaSecondsHigh": 100,
  "eta": "2025-01-06T10:00:50.000Z"}', 'a rate with its interval');
SELECT is(tallymark.rate_document(2, 3, 100, '2025-01-06 10:00Z') - '{high,etaSecondsLow,eta}'::text[],
  '{"itemsPerSecond": 2, "low": 0, "itemsLeft": 100, "etaSeconds": 50, "etaSecondsHigh": null}',
  'one that may as well be 0: there is no longest time');
SELECT is(tallymark.rate_document(NULL, NULL, 100, now()), '{"itemsPerSecond": null, "low": null, "high": null,
  "itemsLeft": 100, "etaSeconds": null, "etaSecondsLow": null, "etaSecondsHigh": null, "eta": null}', 'an unknown one');
SELECT is(tallymark.rate_document(0, 0, 100, now()) ->> 'eta', NULL, 'one of 0 never ends');

SELECT * FROM finish();
ROLLBACK;
