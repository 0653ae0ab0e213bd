-- In a batch a refused update has the status and the texts that it would have got alone.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(4);

SELECT is(tallymark.refusal('TK400', 'Invalid', '[{"field": "a", "problem": "b"}]'),
  '{"status": 400, "error": "Invalid", "details": [{"field": "a", "problem": "b"}]}', 'problems are listed');
SELECT is(tallymark.refusal('TK404', 'Job not found', 'There is no job ''"''.'),
  '{"status": 404, "error": "Job not found", "details": [], "detail": "There is no job ''\"''."}',
    'a sentence stands beside');
SELECT is(tallymark.refusal('TK413', 'x', '') -> 'details', '[]'::jsonb, 'there is always an array of details');
SELECT is(tallymark.refusal('TK403', 'Forbidden', NULL) -> 'details', '[]'::jsonb, 'even without any detail');

SELECT * FROM finish();
ROLLBACK;
