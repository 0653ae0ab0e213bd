-- Every function refuses an unknown job with TK404. An id that no job can have is an error in the call, TK400, and must
-- not go unnoticed.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(30);

CREATE TEMPORARY TABLE door (number integer, call text);
INSERT INTO door VALUES (1, $$ SELECT tallymark.merge_progress(%L, '{}') $$), (2, 'SELECT tallymark.get_job(%L)'),
  (3, 'SELECT * FROM tallymark.timeline(%L)'), (4, 'SELECT tallymark.timeline_page(%L)'),
  (5, 'SELECT * FROM tallymark.verify_differences(%L)'), (6, 'SELECT tallymark.verify_job(%L)');

SELECT throws_ok(format(d.call, c.id), c.code, NULL, format('%s: %s', btrim(split_part(d.call, '(', 1)), c.words))
FROM door AS d CROSS JOIN (VALUES (1, 'no such job', 'TK404', 'an unknown job'), (2, '', 'TK400', 'an empty id'),
  (3, repeat('x', 255), 'TK404', 'an unknown job of 255 characters'), (4, repeat('x', 256), 'TK400',
    'an id of 256 characters'),
  (5, NULL, 'TK400', 'no id')) AS c (number, id, code, words)
ORDER BY d.number, c.number;

SELECT * FROM finish();
ROLLBACK;
