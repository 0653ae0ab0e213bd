-- The position never decreases. This server is not a replica.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(2);

CREATE TEMPORARY TABLE before AS SELECT * FROM tallymark.wal_position();
SELECT is(replica, false, 'this is no replica') FROM before;
SELECT tallymark.create_job('job');
SELECT ok(a.written >= b.written AND b.written > 0,
  'it increases and never decreases') FROM before AS b, tallymark.wal_position() AS a;

SELECT * FROM finish();
ROLLBACK;
