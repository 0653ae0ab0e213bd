-- Five failures cost nothing, then the wait doubles up to a minute, and ends by itself. Other sources do not wait.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(20);
\ir ../helpers.psql

CREATE FUNCTION pg_temp.after(failures integer) RETURNS integer LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM tallymark.sign_in WHERE source = 'here';
  PERFORM tallymark.note_failed_sign_in('here') FROM generate_series(1, failures);
  RETURN tallymark.sign_in_wait('here');
END
$$;
CREATE FUNCTION pg_temp.later(seconds integer) RETURNS integer LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_temp.move('sign_in', 'last_failed_at', -seconds * interval '1 s', $c$source = 'here'$c$);
  RETURN tallymark.sign_in_wait('here');
END
$$;

SELECT is(pg_temp.after(f), w, format('after %s failures %s s', f, w))
FROM (VALUES (0, 0), (1, 0), (5, 0), (6, 2), (7, 4), (8, 8), (9, 16), (10, 32), (11, 60), (12, 60), (30, 60))
  AS c (f, w) ORDER BY f;
SELECT is(tallymark.sign_in_wait('elsewhere'), 0, 'a source without failures does not wait');
SELECT is(tallymark.sign_in_wait(NULL), 0, 'nor does a null source');
SELECT is(pg_temp.later(59), 1, 'there is a second left');
SELECT is(pg_temp.later(2), 0, 'then it is over');
DO $$ BEGIN PERFORM tallymark.note_failed_sign_in('here'); END $$;
SELECT is(tallymark.sign_in_wait('here'), 60, 'the next failure brings the longest wait again');
SELECT is(pg_temp.later(899), 0, 'a quarter of an hour after the last failure');
DO $$ BEGIN PERFORM pg_temp.later(2); PERFORM tallymark.note_failed_sign_in('here'); END $$;
SELECT is(tallymark.sign_in_wait('here'), 0, 'all are forgotten');
SELECT is((SELECT failures FROM tallymark.sign_in WHERE source = 'here'), 1::bigint, 'and counting begins again');
DO $$ BEGIN UPDATE tallymark.sign_in SET failures = 1000000 WHERE source = 'here';
  PERFORM tallymark.note_failed_sign_in('here'); END $$;
SELECT is(tallymark.sign_in_wait('here'), 60, 'however many there were');

SELECT * FROM finish();
ROLLBACK;
