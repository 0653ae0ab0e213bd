-- A number that would take 131 kB as text, or nesting that cannot be processed, is left out and named; the rest stays.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(7);

SELECT is(tallymark.without_huge_numbers('{"a": 1, "b": 1e131071, "c": [1e-16000]}', 'progress'),
  '{"value": {"a": 1}, "problems": [
    {"field": "progress.b", "problem": "must have no number beyond 1e308, and none near 0 with more than 400 decimal places"},
    {"field": "progress.c", "problem": "must have no number beyond 1e308, and none near 0 with more than 400 decimal places"}]}',
  'of an object');
SELECT is(tallymark.without_huge_numbers('[1, 1e131071, 3]', 'x') -> 'value', '[1, null, 3]', 'of an array');
SELECT is(tallymark.without_huge_numbers('1e131071', 'x') -> 'value', 'null', 'by itself');
SELECT is(tallymark.without_huge_numbers('5', 'x'), '{"value": 5, "problems": []}', 'another number stays');
SELECT is(tallymark.without_huge_numbers(jsonb_build_object('deep', (repeat('[', 1100) || repeat(']', 1100))::jsonb), '')
  #>> '{problems,0,problem}', 'must be nested at most 1000 levels deep', 'nesting');

CREATE TEMPORARY TABLE done AS SELECT tallymark.import_original_row('{"id": "job", "status": "running", "started_at": 1e131071,
  "resume_state": [1e131071], "progress": {"itemsByType": {"a": 1, "b": 1e131071}, "x": 1e131071, "y": 2, "timeline": [
    {"timestamp": "2025-01-06T10:00:00Z", "event": "e"}, {"timestamp": 1e131071, "event": "f"}]}}') AS it;
SELECT is((SELECT string_agg(p ->> 'field', ' ') FROM jsonb_array_elements(it -> 'problems') AS p),
  'progress.itemsByType.b progress.timeline[1] progress.x startedAt resumeState', 'a row with such numbers') FROM done;
SELECT is(j.progress, '{"itemsByType": {"a": 1}, "y": 2}', 'is taken over without them') FROM tallymark.job AS j
  WHERE j.id = 'job';

SELECT * FROM finish();
ROLLBACK;
