-- It stays ended as long as its cookie could be used; no other session ends with it. No cleaning is needed: each end
-- deletes a few that are out of date, and none that still counts.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(14);

CREATE FUNCTION pg_temp.id(name text) RETURNS bytea LANGUAGE sql RETURN sha256(convert_to(name, 'UTF8'));
INSERT INTO tallymark.ended_session (digest, kept_until)
SELECT pg_temp.id('old ' || n), clock_timestamp() - interval '10 years' - n * interval '1 s' FROM generate_series(1, 25) AS n
UNION ALL SELECT pg_temp.id('new ' || n), clock_timestamp() + interval '1 minute' FROM generate_series(1, 25) AS n;
CREATE FUNCTION pg_temp.rows(prefix text) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
  RETURN (
  SELECT count(*) FROM tallymark.ended_session AS s, generate_series(1, 25) AS n
  WHERE s.digest = pg_temp.id(prefix || ' ' || n));
END
$$;

SELECT ok(NOT tallymark.has_session_ended(pg_temp.id('here')), 'a session goes on');
DO $$ BEGIN PERFORM tallymark.end_session(pg_temp.id('here'), 60); END $$;
SELECT ok(tallymark.has_session_ended(pg_temp.id('here')), 'until somebody signs out');
SELECT ok(NOT tallymark.has_session_ended(pg_temp.id('there')), 'others go on');
SELECT ok(NOT tallymark.has_session_ended(NULL), 'null is no session');
DO $$ BEGIN PERFORM tallymark.end_session(pg_temp.id('here'), 1); END $$;
SELECT cmp_ok((SELECT kept_until FROM tallymark.ended_session WHERE digest = pg_temp.id('here')), '>',
  clock_timestamp() + interval '50 s', 'ending it again does not shorten how long it is kept');
SELECT is(pg_temp.rows('old'), 5::bigint, 'each end deletes ten of the old ones');
SELECT ok(NOT tallymark.has_session_ended(pg_temp.id('old 25')), 'the oldest');
DO $$ BEGIN PERFORM tallymark.end_session(pg_temp.id('there'), 60); END $$;
SELECT is(pg_temp.rows('old'), 0::bigint, 'then the others');
SELECT is(pg_temp.rows('new'), 25::bigint, 'none that still counts');

SELECT throws_ok(format('SELECT tallymark.end_session(%L, %L)', c.digest, c.seconds), 'TK400', NULL, c.what)
FROM (VALUES (NULL::bytea, 60, 'a null digest is refused'), ('\x00', 60, 'and one that is no SHA-256'),
  (pg_temp.id('x'), NULL, 'a null time, too'), (pg_temp.id('x'), 0, 'no time at all'),
  (pg_temp.id('x'), 31622401, 'and more than a year')) AS c (digest, seconds, what);

SELECT * FROM finish();
ROLLBACK;
