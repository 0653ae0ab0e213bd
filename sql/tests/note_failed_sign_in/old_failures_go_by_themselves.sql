-- No cleaning is needed: each failure deletes a few that no longer count, and none that still do.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(6);

INSERT INTO tallymark.sign_in (source, failures, last_failed_at)
SELECT 'old ' || n, 9, clock_timestamp() - interval '10 years' - n * interval '1 s' FROM generate_series(1, 25) AS n
UNION ALL SELECT 'new ' || n, 9, clock_timestamp() - interval '14 minutes' FROM generate_series(1, 25) AS n;
CREATE FUNCTION pg_temp.rows(prefix text) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
  RETURN (
  SELECT count(*) FROM tallymark.sign_in WHERE source LIKE prefix || ' %');
END
$$;

DO $$ BEGIN PERFORM tallymark.note_failed_sign_in('here'); END $$;
SELECT is(pg_temp.rows('old'), 15::bigint, 'ten of them');
SELECT ok(NOT EXISTS (SELECT FROM tallymark.sign_in WHERE source = 'old 25'), 'the oldest');
DO $$ BEGIN PERFORM tallymark.note_failed_sign_in('here') FROM generate_series(1, 3); END $$;
SELECT is(pg_temp.rows('old'), 0::bigint, 'then the others');
SELECT is(pg_temp.rows('new'), 25::bigint, 'none that still counts');
DO $$ BEGIN PERFORM tallymark.note_failed_sign_in(repeat('x', 10000)); END $$;
SELECT is((SELECT max(char_length(source)) FROM tallymark.sign_in WHERE source LIKE 'xxxxx%'), 255,
  'a source that is too long is cut');
SELECT throws_ok('SELECT tallymark.note_failed_sign_in(NULL)', 'TK400', NULL, 'a null source is refused');

SELECT * FROM finish();
ROLLBACK;
