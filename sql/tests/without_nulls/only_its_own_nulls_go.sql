-- A field that is null counts as not given. A null deeper inside is content.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(4);

SELECT is(tallymark.without_nulls('{"a": null, "b": 1, "c": false, "d": 0, "e": "", "f": null}'),
  '{"b": 1, "c": false, "d": 0, "e": ""}', 'nulls go, what is merely false or empty stays');
SELECT is(tallymark.without_nulls('{"a": {"b": null}, "c": [null]}'), '{"a": {"b": null}, "c": [null]}',
  'deeper nulls stay');
SELECT is(tallymark.without_nulls('{}'), '{}', 'an empty object stays empty');
SELECT is(tallymark.without_nulls('{"a": null}'), '{}', 'and one of nulls becomes empty');

SELECT * FROM finish();
ROLLBACK;
