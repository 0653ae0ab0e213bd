-- One JSON document has the minutes and the rates of the last 60 seconds, which no single minute shows.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(7);

DO $$
BEGIN
  PERFORM tallymark.create_job(id) FROM unnest('{P 1,P 2}'::text[]) AS id;
  PERFORM tallymark.merge_progress('P 1', jsonb_build_object('processedItems', n)) FROM generate_series(1, 90) AS n;
  PERFORM tallymark.merge_progress('P 2', '{"error": "e"}');
  -- Events of the last 60 seconds, and some from before.
  UPDATE tallymark.job_event SET recorded_at = statement_timestamp() - interval '61 seconds'
  WHERE job_id = 'P 1' AND seq <= 30;
  UPDATE tallymark.job_event SET recorded_at = statement_timestamp() - interval '59 seconds'
  WHERE job_id = 'P 1' AND seq BETWEEN 31 AND 60;
END
$$;

SELECT is(tallymark.throughput_page(0, 'P '), '{"minutes": [], "eventsPerSecond": 1.017, "errorsPerMinute": 1}',
  'the rates of the last 60 seconds');
SELECT is(tallymark.throughput_page(0, 'P 1'), '{"minutes": [], "eventsPerSecond": 1, "errorsPerMinute": 0}',
  'with id_prefix');
SELECT is((tallymark.throughput_page(0) -> 'errorsPerMinute')::bigint, count(*), 'without it, those of all jobs')
FROM tallymark.job_event AS e
WHERE e.event = 'error' AND e.payload IS NOT NULL AND e.recorded_at > statement_timestamp() - interval '60 seconds';
SELECT is((SELECT sum((m -> 'events')::bigint)
  FROM jsonb_array_elements(tallymark.throughput_page(5, 'P ') -> 'minutes') AS m),
  91::numeric, 'all events are in their minutes');
SELECT is((SELECT array_agg(k ORDER BY k) FROM jsonb_object_keys(tallymark.throughput_page(1) #> '{minutes,0}') AS k),
  '{errors,events,jobs,minute}'::text[], 'a minute has these members');
SELECT is(tallymark.throughput_page() #>> '{minutes,29,minute}',
  tallymark.iso_timestamp(date_trunc('minute', statement_timestamp())), 'this minute is the last');
SELECT is(tallymark.throughput_page(1, 'nobody') #> '{minutes,0,events}', '0', 'one without events');

SELECT * FROM finish();
ROLLBACK;
