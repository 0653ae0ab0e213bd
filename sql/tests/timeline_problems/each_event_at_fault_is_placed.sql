-- Each of a crawler's own events must have a name and a time. The place of each one that does not is named.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(10);
\ir ../helpers.psql

DO $$ BEGIN PERFORM tallymark.create_job('job'); END $$;

SELECT is(pg_temp.at_fault(jsonb_build_object('timeline',
  jsonb_build_array('{"event": "e", "timestamp": "2025-01-06"}'::jsonb, c.event))),
  c.outcome, c.words)
FROM (VALUES
  (1, '{"event": "e", "timestamp": "2025-01-06T10:00:00Z", "details": {"a": 1}}'::jsonb, 'taken', 'a whole one'),
  (2, '{"event": "e", "timestamp": "2025-01-06T10:00:00Z"}', 'taken', 'one without details'),
  (3, jsonb_build_object('event', repeat('x', 100), 'timestamp', '2025-01-06'), 'taken', 'a kind of 100 characters'),
  (4, jsonb_build_object('event', repeat('x', 101), 'timestamp', '2025-01-06'), 'timeline[1].event',
    'a kind of 101 characters'),
  (5, '{}', 'timeline[1].event timeline[1].timestamp', 'an empty one: both problems are told'),
  (6, '{"event": 5, "timestamp": 5}', 'timeline[1].event timeline[1].timestamp', 'numbers'),
  (7, '{"event": null, "timestamp": null}', 'timeline[1].event timeline[1].timestamp', 'nulls'),
  (8, '{"event": "", "timestamp": "soon"}', 'timeline[1].event timeline[1].timestamp', 'texts that say nothing'),
  (9, '"e"', 'timeline[1]', 'a text'),
  (10, 'null', 'timeline[1]', 'null')) AS c (number, event, outcome, words)
ORDER BY c.number;

SELECT * FROM finish();
ROLLBACK;
