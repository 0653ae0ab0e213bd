-- A page is one JSON document. Following "next" until it is null gives every event once.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(10);

DO $$
BEGIN
  PERFORM tallymark.create_job('job');
  PERFORM tallymark.create_job('empty');
  PERFORM tallymark.merge_progress('job',
    '{"status": "started", "timestamp": "2025-01-06T19:15:30.000Z", "stage": "s"}');
  PERFORM tallymark.merge_progress('job', jsonb_build_object('processedItems', n)) FROM generate_series(2, 1203) AS n;
END
$$;
CREATE FUNCTION pg_temp.seen(most integer) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  v_page jsonb := '{"next": 0}';
  v_seen bigint := 0;
BEGIN
  WHILE v_page ->> 'next' IS NOT NULL LOOP
    v_page := tallymark.timeline_page('job', (v_page -> 'next')::bigint, most);
    v_seen := v_seen + jsonb_array_length(v_page -> 'events');
  END LOOP;
  RETURN v_seen;
END
$$;

SELECT is(tallymark.timeline_page('empty'), '{"events": [], "next": null}', 'a job without events');
SELECT is((tallymark.timeline_page('job', 0, 1) #> '{events,0}') - 'recordedAt',
  '{"seq": 1, "timestamp": "2025-01-06T19:15:30.000Z",
  "event": "stage_change", "details": {"status": "started", "stage": "s", "fromStage": null, "toStage": "s"}}',
    'an event');
SELECT matches(tallymark.timeline_page('job', 0, 1) #>> '{events,0,recordedAt}', '^[0-9-]{10}T[0-9:.]+Z$',
  'with the time it was recorded');
SELECT is(tallymark.timeline_page('job', 0, 5) -> 'next', '5', 'next is the number to go on after');
SELECT is(tallymark.timeline_page('job', 1200, 5) ->> 'next', NULL, 'and null where the page was not full');
SELECT is(pg_temp.seen(c.most), 1203::bigint, coalesce('pages of ' || c.most, 'pages of the size that null stands for')
  || ' lead to the end')
FROM (VALUES (1, 100), (2, 401), (3, 1000), (4, 5000), (5, NULL)) AS c (number, most)
ORDER BY c.number;

SELECT * FROM finish();
ROLLBACK;
