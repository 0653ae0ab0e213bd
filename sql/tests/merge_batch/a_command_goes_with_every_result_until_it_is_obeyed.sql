-- The results of a batch show the state after the whole batch: a command that one of its updates obeyed is in none of
-- them, a pending one is in each, duplicates included.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(7);

DO $$
BEGIN
  PERFORM tallymark.create_job('a'), tallymark.create_job('b');
  PERFORM tallymark.merge_progress(j.id, '{"updateId": "first", "timestamp": "2025-01-06T10:00:00Z"}') FROM
    unnest('{a,b}'::text[]) AS j (id);
  PERFORM tallymark.request_command('a', 'pause'), tallymark.request_command('b', 'cancel');
END
$$;
CREATE FUNCTION pg_temp.commands(updates jsonb) RETURNS jsonb LANGUAGE sql AS $$
  SELECT jsonb_agg(a.value -> 'command') FROM jsonb_array_elements(tallymark.merge_batch($1, '{taskId}', '')) AS a
$$;
SELECT is(pg_temp.commands('[{"taskId": "a", "updateId": "first"}, {"taskId": "b", "timestamp": "2025-01-06T10:01:00Z"},
    {"taskId": "a", "status": "paused", "timestamp": "2025-01-06T09:00:00Z"}]'), '["pause", "cancel", "pause"]',
      'a pending command is in each result');
SELECT is(pg_temp.commands('[{"taskId": "a", "timestamp": "2025-01-06T10:02:00Z"}, {"taskId": "a", "status": "paused", '
  '"timestamp":
    "2025-01-06T10:01:00Z"}, {"taskId": "a", "updateId": "first"}, {"taskId": "b", "status": "paused", "timestamp":
      "2025-01-06T10:03:00Z"}]'),
  '[null, null, null, "cancel"]', 'a command that one of them obeyed is in none');
SELECT is((SELECT jsonb_object_agg(j.id, coalesce(j.requested_command, '-') || coalesce(j.command_seq::text, '-')) FROM
  tallymark.job AS j WHERE j.id IN ('a', 'b')),
  '{"a": "--", "b": "cancel2"}', 'the rows say so');
SELECT ok(bool_and(tallymark.verify_job(j.id)), 'the ledgers fold to the states') FROM tallymark.job AS j
WHERE j.id IN ('a', 'b');
DO $$ BEGIN PERFORM tallymark.request_command('a', 'resume'); END $$;
SELECT is(pg_temp.commands('[{"taskId": "a", "status": "processing", "timestamp": "2025-01-06T10:01:30Z"},
  {"taskId": "a", "status": "processing", "timestamp": "2025-01-06T10:01:40Z"}]'), '["resume", "resume"]',
    'late progress does not resume');
SELECT is(pg_temp.commands('[{"taskId": "a", "status": "processing", "timestamp": "2025-01-06T10:01:50Z"},
  {"taskId": "a", "status": "processing", "timestamp": "2025-01-06T10:04:00Z"}, {"taskId": "a", "status": "paused",
    "timestamp": "2025-01-06T10:05:00Z"}]'),
  '[null, null, null]', 'of several combined updates the last one obeys');
SELECT ok(bool_and(tallymark.verify_job(j.id)), 'the ledgers fold to the states') FROM tallymark.job AS j
WHERE j.id IN ('a', 'b');

SELECT * FROM finish();
ROLLBACK;
