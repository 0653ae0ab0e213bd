-- A message over 1000 characters and an error over 8 KB are cut, not refused: the update counts, and a warning says
-- what was cut.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(14);

CREATE FUNCTION pg_temp.warnings(payload jsonb) RETURNS integer LANGUAGE sql
RETURN jsonb_array_length(tallymark.merge_progress('job', payload) -> 'warnings');
CREATE FUNCTION pg_temp.kept(field text) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
  RETURN (SELECT j.progress -> field FROM tallymark.job AS j WHERE j.id = 'job');
END
$$;
DO $$ BEGIN PERFORM tallymark.create_job('job'); END $$;

SELECT is(pg_temp.warnings(jsonb_build_object('message', repeat('x', 1000))), 0,
  'a message of 1000 characters is not cut');
SELECT is(length(pg_temp.kept('message') #>> '{}'), 1000, 'and kept whole');
SELECT is(pg_temp.warnings(jsonb_build_object('message', repeat(U&'\20AC', 1001))), 1,
  'one of 1001 is, with a warning');
SELECT is(pg_temp.kept('message') #>> '{}', repeat(U&'\20AC', 1000), 'to 1000 characters, not bytes');
SELECT is(pg_temp.warnings(jsonb_build_object('error', repeat('x', 8192))), 0, 'an error text of 8 KB is not cut');
SELECT is(length(pg_temp.kept('error') #>> '{}'), 8192, 'and kept whole');
SELECT is(pg_temp.warnings(jsonb_build_object('error', repeat(chr(10), 5000))), 0,
  'nor is one of 5000 new lines, however they are escaped in transit');
SELECT is(pg_temp.warnings(jsonb_build_object('error', repeat('x', 8193))), 1, 'one of a byte more is, with a warning');
SELECT is(length(pg_temp.kept('error') #>> '{}'), 8192, 'to 8 KB');
SELECT is(pg_temp.warnings(jsonb_build_object('error', jsonb_build_object('type', 'E', 'message', repeat('m', 3000),
  'context', jsonb_build_object('page', 3), 'stack', repeat('s', 9000)))), 1, 'a large error object is cut');
SELECT is(pg_temp.kept('error') -> 'type', '"E"', 'its type stays');
SELECT is(pg_temp.kept('error') -> 'context', '{"page": 3}', 'and its context');
SELECT is(pg_temp.warnings(jsonb_build_object('message', repeat('x', 2000), 'error', repeat('x', 9000))), 2,
  'two cuts are two warnings');
SELECT ok(tallymark.verify_job('job'), 'the ledger keeps what was cut as the state does');

SELECT * FROM finish();
ROLLBACK;
