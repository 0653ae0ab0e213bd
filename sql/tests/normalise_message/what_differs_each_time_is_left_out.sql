-- Two occurrences of one error must give the same text, and two different errors different texts.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(15);

SELECT is(tallymark.normalise_message(c.message), c.normal, c.message)
FROM (VALUES (1, 'timeout after 30 s', 'timeout after <number> s'), (2, 'at 12:30:05.123', 'at <number>'),
  (3, 'GET https://x.example/a?b=1 failed', 'GET <url> failed'), (4, 'no such "thing one"', 'no such <string>'),
  (5, 'no such ''thing'' here', 'no such <string> here'), (6, 'it doesn''t and won''t', 'it doesn''t and won''t'),
  (7, 'id 123E4567-e89b-12d3-a456-426614174000', 'id <uuid>'), (8, 'at 0xDEADbeef', 'at <hex>'),
  (9, 'commit 9fceb02d0ae598e9', 'commit <hex>'), (10, 'id 1234567890', 'id <number>'), (11, 'effaced deadbeef',
    'effaced deadbeef'),
  (12, 'item42 of project7', 'item<number> of project<number>'), (13, E'a\n  b\t', 'a b'), (14, '', ''))
  AS c (number, message, normal)
ORDER BY c.number;
SELECT is(tallymark.normalise_message(NULL), NULL, 'null');

SELECT * FROM finish();
ROLLBACK;
