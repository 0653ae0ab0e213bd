-- The "next" of a page is accepted as a cursor; anything else is refused and reaches no statement.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(8);

SELECT is(tallymark.cursor_id(NULL), '', 'none is the first page');
SELECT is(tallymark.cursor_id(encode(convert_to(c.id, 'UTF8'), 'hex')), c.id, 'of ' || c.id)
FROM unnest('{job_1,"a/b %_\\","äöü ✓"}'::text[]) AS c (id);
SELECT throws_ok(format('SELECT tallymark.cursor_id(%L)', c.cursor), 'TK400', 'Invalid query', quote_literal(c.cursor)
  || ' is refused')
FROM unnest('{x,616,ff,6100}'::text[]) AS c (cursor);

SELECT * FROM finish();
ROLLBACK;
