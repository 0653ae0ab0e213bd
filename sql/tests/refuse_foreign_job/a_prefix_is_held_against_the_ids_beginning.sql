-- A token for some jobs gives no access to others: the prefix is a text, not a pattern, and case matters.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(18);

SELECT lives_ok(format('SELECT tallymark.refuse_foreign_job(%L, %L)', c.id, c.prefix), format('%L may touch %L',
  c.prefix, c.id))
FROM (VALUES (1, 'a_job', 'a_'), (2, 'a', 'a'), (3, 'any', ''), (4, 'any', NULL), (5, NULL, 'a'), (6, 'é%\', 'é%\'),
  (7, '''; --', '''')) AS c (number, id, prefix) ORDER BY c.number;
SELECT throws_ok(format('SELECT tallymark.refuse_foreign_job(%L, %L)', c.id, c.prefix), 'TK403', 'Forbidden',
  format('%L may not touch %L', c.prefix, c.id))
FROM (VALUES (1, 'ab_job', 'a_'), (2, 'abc', '%'), (3, 'abc', 'a%c'), (4, 'A', 'a'), (5, 'a', 'ab'), (6, '', 'a'),
  (7, 'ba', 'a'), (8, '\a', '\\a'), (9, 'abc', 'a.c'), (10, 'e' || U&'\0301', 'é')) AS c (number, id, prefix)
ORDER BY c.number;
DO $$ BEGIN PERFORM tallymark.create_job('a1'), tallymark.create_job('a_1'); END $$;
SELECT is(jsonb_path_query_array(tallymark.receive_progress('[
    {"taskId": "a1", "status": "started", "timestamp": "2025-01-06T10:00:00Z"},
    {"taskId": "a_1", "status": "started", "timestamp": "2025-01-06T10:00:00Z"},
    {"taskId": "ax", "status": "dancing"}, {"status": "started"}]', NULL, 'a_'), '$[*].status'),
  '[403, "received", 403, 400]',
  'in a batch each update is judged by itself, and one with a foreign job is not examined further');

SELECT * FROM finish();
ROLLBACK;
