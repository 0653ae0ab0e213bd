-- Instants are written in UTC with milliseconds, as the original does, or with microseconds where they have them. Read
-- again they are the same instant.
BEGIN;
SET LOCAL search_path = tap, public;
SET LOCAL TimeZone = 'Asia/Kathmandu';
SET LOCAL DateStyle = 'German';
SELECT plan(9);

SELECT is(tallymark.iso_timestamp(c.instant::timestamptz), c.text, c.text)
FROM (VALUES (1, '2025-01-06 19:15:30+00', '2025-01-06T19:15:30.000Z'), (2, '2025-01-06 19:15:30.5+02',
  '2025-01-06T17:15:30.500Z'),
  (3, '2025-01-06 19:15:30.123456+00', '2025-01-06T19:15:30.123456Z'), (4, '2025-12-31 23:59:59.000001-01',
    '2026-01-01T00:59:59.000001Z'))
  AS c (number, instant, text)
ORDER BY c.number;
SELECT is(tallymark.parse_timestamp(tallymark.iso_timestamp(c.instant::timestamptz)), c.instant::timestamptz,
  'there and back: ' || c.instant)
FROM (VALUES ('2025-01-06 19:15:30.123456+00'), ('2025-06-06 02:30:00.1+02'), ('1970-01-01 00:00:00+00'),
  ('1901-12-31 23:59:59.999999+00'))
  AS c (instant);
SELECT is(tallymark.iso_timestamp(NULL), NULL, 'null for null');

SELECT * FROM finish();
ROLLBACK;
