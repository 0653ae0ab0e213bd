-- A limit in bytes applies to what the crawler sent, not to the blanks that jsonb writes between the parts.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(4);

SELECT is(tallymark.json_bytes(c.value), c.bytes, c.words)
FROM (VALUES
  (1, '[1, 1, 1]'::jsonb, 7, 'no blank behind a comma'),
  (2, '{"a": 1, "b": [2, 3]}', 17, 'nor behind a colon'),
  (3, '"a b"', 5, 'a blank in a string counts'),
  (4, U&'"\00e9"', 4, 'bytes, not characters')) AS c (number, value, bytes, words)
ORDER BY c.number;

SELECT * FROM finish();
ROLLBACK;
