-- Whichever page shows an event, it is the same document.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(8);

SELECT is(tallymark.event_document(7, '2025-01-06T20:15:30+01:00', 'error', '{"a": null}', '2025-01-06T19:15:30.000123Z'),
  '{"seq": 7, "timestamp": "2025-01-06T19:15:30.000Z", "event": "error", "details": {"a": null},
    "recordedAt": "2025-01-06T19:15:30.000123Z"}', 'all that is known of it, with both times in UTC');

DO $$
BEGIN
  PERFORM tallymark.create_job('job');
  PERFORM tallymark.merge_progress('job', '{"status": "started", "timestamp": "2025-01-06T10:00:00Z", "stage": "s1"}');
  PERFORM tallymark.merge_progress('job', '{"timestamp": "2025-01-06T10:00:01.5Z", "error": {"message": "boom"},
    "itemsByType": {"issues": 4}}');
END
$$;
CREATE TEMPORARY TABLE expected AS
SELECT jsonb_agg(d ORDER BY d -> 'seq') AS forwards, jsonb_agg(d ORDER BY d -> 'seq' DESC) AS backwards,
  jsonb_agg(d - 'recordedAt' ORDER BY d -> 'seq') AS in_the_job
FROM tallymark.timeline('job') AS t,
  tallymark.event_document(t.seq, t."timestamp", t.event, t.details, t.recorded_at) AS d;

SELECT is(jsonb_array_length(forwards), 2, 'there are events') FROM expected;
SELECT is(tallymark.timeline_page('job') -> 'events', forwards, 'forwards') FROM expected;
SELECT is(tallymark.timeline_before_page('job') -> 'events', backwards, 'backwards') FROM expected;
SELECT is(tallymark.job_changes('{job}', '{0}') #> '{0,events}', forwards, 'as news') FROM expected;
SELECT is(tallymark.get_job('job') #> '{progress,timeline}', in_the_job,
  'with the job itself, where the original has no time of recording') FROM expected;
SELECT is(tallymark.job_at('job', 2) #> '{progress,timeline}', in_the_job, 'with the job as it was') FROM expected;
SELECT is(ARRAY(SELECT p.proname::text FROM pg_proc AS p WHERE p.pronamespace = 'tallymark'::regnamespace
  AND p.prosrc ~ 'jsonb_build_object\(''seq'', [^)]*''timestamp'', [^;]*''details'''), '{}', 'and no other function makes one');

SELECT * FROM finish();
ROLLBACK;
