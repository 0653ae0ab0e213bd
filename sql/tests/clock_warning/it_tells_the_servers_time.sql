-- A crawler whose clock is ahead gets the server's time in the warning.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(2);

SELECT is(tallymark.clock_warning('2025-01-06T10:00:00Z'), '["timestamp is ahead of the server''s clock, which says '
  '2025-01-06T10:00:00.000Z; the update counts as of now"]', 'an array of one text');
SET LOCAL TimeZone = 'Asia/Tokyo';
SELECT alike(tallymark.clock_warning('2025-01-06T10:00:00Z') ->> 0, '%says 2025-01-06T10:00:00.000Z;%',
  'in UTC, whatever the session''s zone');

SELECT * FROM finish();
ROLLBACK;
