-- A text that is not a date and time in ISO 8601, or names one that does not exist, gives null and never an error, even
-- where PostgreSQL itself would accept it.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(37);

SELECT is(tallymark.parse_timestamp(c.value), NULL, coalesce('"' || c.value || '"', 'null'))
FROM unnest(ARRAY[NULL, '0000-01-01T00:00:00Z', '2025-02-30T10:00:00.123Z',
  '2025-04-31T10:00:00.123456+00:00', '+025-01-06T19:15:30Z', '0001-01-01T00:00:00+01:00', '', ' ', 'now', 'today', 'tomorrow', 'yesterday', 'epoch', 'infinity', '-infinity', 'allballs',
  '1736190930',
  '2025', '2025-01', '2025-1-6', '1/6/2025', '06.01.2025', '20250106T191530Z', '2025-02-30', '2025-13-01', '2025-00-10',
  '2025-01-06T25:00:00Z', '2025-01-06T19:60:00Z', '2025-01-06T19:15:30 Europe/Rome', '2025-01-06T19:15:30+99:00',
  '2025-01-06T19:15:30+16:00', '2025-01-06T19:15:30Z BC', '0000-01-01', '2025-01-06T19:15:30ZZ', ' 2025-01-06',
    '2025-01-06T',
  '2025-01-06T19Z']) AS c (value);

SELECT * FROM finish();
ROLLBACK;
