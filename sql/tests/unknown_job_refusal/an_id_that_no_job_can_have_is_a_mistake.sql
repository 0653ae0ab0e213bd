-- In a batch an unknown job gets the same answer as alone: 404, or 400 for an id that no job can have.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(7);

SELECT is(tallymark.unknown_job_refusal('x') - 'detail', '{"status": 404, "error": "Job not found", "details": []}',
  'unknown');
SELECT is(tallymark.unknown_job_refusal(c.id) -> 'status', '404', 'could be one: ' || left(c.id, 20))
FROM (VALUES (1, repeat('é', 255)), (2, '[%'), (3, '%s %L''"\')) AS c (number, id) ORDER BY c.number;
SELECT is(tallymark.unknown_job_refusal(c.id) -> 'status', '400', 'could not: ' || coalesce(left(c.id, 20), 'null'))
FROM (VALUES (1, repeat('x', 256)), (2, ''), (3, NULL)) AS c (number, id) ORDER BY c.number;

SELECT * FROM finish();
ROLLBACK;
