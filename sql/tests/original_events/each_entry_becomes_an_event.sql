-- Each entry of a timeline becomes an event, in order, whatever is wrong with it.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(6);

SELECT is(tallymark.original_events(NULL, now()) -> 'taken', '[]', 'none');
SELECT is(tallymark.original_events('{}', now()) -> 'problems' -> 0 ->> 'field', 'progress.timeline', 'no array');
SELECT is(tallymark.original_events('[{"timestamp": "2025-01-06T10:00:00Z", "event": "a", "details": {"x": 1}},
    {"timestamp": "2025-01-06", "event": "b"}]', now()),
  '{"taken": [{"timestamp": "2025-01-06T10:00:00.000Z", "event": "a", "details": {"x": 1}},
    {"timestamp": "2025-01-06T00:00:00.000Z", "event": "b", "details": {}}], "mended": [], "problems": [], "kept": {}}',
  'well formed entries');
SELECT is((SELECT array_agg(e ->> 'timestamp') FROM jsonb_array_elements(tallymark.original_events('[{"event": "a"},
    {"event": "b", "timestamp": "2025-01-06"}, {"event": "c", "timestamp": 5}]', 'epoch') -> 'taken') AS e),
  array_fill('2025-01-06T00:00:00.000Z'::text, ARRAY[3]), 'an entry without a time has that of the one beside it');
SELECT is(tallymark.original_events('[{"event": "a"}]', 'epoch') #>> '{taken,0,timestamp}', '1970-01-01T00:00:00.000Z',
  'or the other one');
SELECT is(jsonb_array_length(tallymark.original_events((SELECT jsonb_agg(n) FROM generate_series(1, 500) AS n), now())
  -> 'mended'), 101, 'of very many only some are named, and their number');

SELECT * FROM finish();
ROLLBACK;
