-- Whatever an error consists of, at most 8 KB of it are kept: of a string as text, of an object as JSON with its
-- escapes.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(7);

SELECT cmp_ok(octet_length(tallymark.cut_error(c.error) #>> '{}'), '<=', 8192, c.words)
FROM (VALUES
  (1, to_jsonb(repeat('x', 20000)), 'a long text'),
  (2, to_jsonb(repeat(U&'\20AC', 20000)), 'a long text of three bytes a character'),
  (3, jsonb_build_object('type', repeat('t', 9000), 'code', repeat('c', 9000), 'message', repeat('m', 9000), 'stack',
    repeat('s', 9000),
    'context', jsonb_build_object('c', repeat('c', 9000)), 'more', repeat('x', 9000)),
      'an object all of whose members are long'),
  (4, jsonb_build_object('message', repeat('"', 9000), 'stack', repeat(chr(10), 9000)),
    'an object of quotation marks and new lines'),
  (5, jsonb_build_object('stack', repeat(chr(1), 9000)), 'an object of control characters'),
  (6, to_jsonb(repeat(chr(10), 9000)), 'a text of new lines'))
  AS c (number, error, words)
ORDER BY c.number;
SELECT is(tallymark.cut_error(jsonb_build_object('type', 'E', 'a', repeat('a', 9000), 'context', 'c', 'z', 1)),
  '{"type": "E", "context": "c", "z": 1}', 'a member that does not fit is left out whole, those that do are kept');

SELECT * FROM finish();
ROLLBACK;
