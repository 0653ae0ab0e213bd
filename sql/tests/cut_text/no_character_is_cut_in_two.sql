-- A text is cut to a number of bytes, never inside a character.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(9);

SELECT is(tallymark.cut_text(c.value, c.most), c.cut, c.words)
FROM (VALUES
  (1, 'abc', 3, 'abc', 'a text that fits is left alone'),
  (2, 'abcd', 3, 'abc', 'one that does not is cut'),
  (3, U&'a\00E9', 3, U&'a\00E9', 'two bytes that fit'),
  (4, U&'ab\00E9', 3, 'ab', 'two bytes of which one would fit'),
  (5, U&'\20AC\20AC', 5, U&'\20AC', 'three bytes of which two would fit'),
  (6, U&'\+01F600\+01F600', 7, U&'\+01F600', 'four bytes of which three would fit'),
  (7, U&'\+01F600', 3, '', 'a first character that does not fit'),
  (8, '', 3, '', 'an empty text'),
  (9, NULL, 3, NULL, 'null')) AS c (number, value, most, cut, words)
ORDER BY c.number;

SELECT * FROM finish();
ROLLBACK;
