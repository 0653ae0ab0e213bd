-- An instant is the same however a crawler writes it: ties are decided by time, not by text.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(3);

DO $$
BEGIN
  PERFORM tallymark.create_job('job');
  PERFORM tallymark.merge_progress('job',
    '{"timestamp": "2025-01-06T12:00:00+02:00", "updateId": "b", "stage": "of b"}');
  PERFORM tallymark.merge_progress('job',
    '{"timestamp": "2025-01-06T10:00:00.000000Z", "updateId": "a", "stage": "of a"}');
END
$$;
SELECT is(progress ->> 'stage', 'of b', 'an offset and a fraction of nought do not make an update newer')
  FROM tallymark.job
WHERE id = 'job';
SELECT is(newest_key, '=b', 'the newest update is that of the larger key') FROM tallymark.job WHERE id = 'job';
SET LOCAL TimeZone = 'Asia/Kathmandu';
SET LOCAL DateStyle = 'German, DMY';
SELECT ok(tallymark.verify_job('job'), 'and a session with another time zone and date style folds to the same');

SELECT * FROM finish();
ROLLBACK;
