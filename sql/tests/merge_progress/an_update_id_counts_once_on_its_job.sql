-- The key of an update is its updateId, else a digest of its content, else none.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(13);

CREATE FUNCTION pg_temp.duplicate(job text, payload jsonb) RETURNS boolean LANGUAGE sql
RETURN (tallymark.merge_progress(job, payload) -> 'duplicate')::boolean;
DO $$ BEGIN PERFORM tallymark.create_job('job'); PERFORM tallymark.create_job('other'); END $$;

SELECT is(pg_temp.duplicate('job', '{"updateId": "u", "itemsByType": {"issues": 1}}'), false,
  'an updateId, the first time');
SELECT is(pg_temp.duplicate('job', '{"updateId": "u", "itemsByType": {"issues": 1}}'), true,
  'and again: once, although neither gives a timestamp');
SELECT is(pg_temp.duplicate('job', '{"updateId": "U", "itemsByType": {"issues": 1}}'), false,
  'letter case makes another id');
SELECT is(pg_temp.duplicate('other', '{"updateId": "u", "itemsByType": {"issues": 1}}'), false,
  'on another job it is another');
SELECT is(progress #> '{itemsByType,issues}', '2', 'so two are counted') FROM tallymark.job WHERE id = 'job';

SELECT is(pg_temp.duplicate('job', '{"timestamp": "2025-01-06T10:00:00Z", "itemsByType": {"issues": 1}}'), false,
  'without one, what it says is the key');
SELECT is(pg_temp.duplicate('job', '{"itemsByType":{"issues":1},"timestamp":"2025-01-06T10:00:00Z"}'), true,
  'the order of its members and the blanks between them do not matter');
SELECT is(pg_temp.duplicate('job', '{"timestamp": "2025-01-06T10:00:01Z", "itemsByType": {"issues": 1}}'), false,
  'another time is another update');
SELECT is(pg_temp.duplicate('job',
  '{"timestamp": "2025-01-06T10:00:01Z", "workerId": "w", "itemsByType": {"issues": 1}}'),
  false, 'another worker too');
SELECT is(pg_temp.duplicate('job',
  '{"timestamp": "2025-01-06T10:00:00Z", "updateId": null, "itemsByType": {"issues": 7}}'),
  false, 'an updateId that is null is not given');

SELECT is(pg_temp.duplicate('job', '{"itemsByType": {"issues": 1}}'), false, 'neither updateId nor timestamp: counted');
SELECT is(pg_temp.duplicate('job', '{"itemsByType": {"issues": 1}}'), false, 'every time');
SELECT is(progress #> '{itemsByType,issues}', '14', 'each that was no duplicate is counted once: 2 + 1 + 1 + 1 + 7 + 2')
FROM tallymark.job WHERE id = 'job';

SELECT * FROM finish();
ROLLBACK;
