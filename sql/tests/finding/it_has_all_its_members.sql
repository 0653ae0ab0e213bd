-- A finding always has all its members, so that readers need not check for them.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(2);

SELECT is(tallymark.finding('c', 'ok', 's'), '[{"code": "c", "severity": "ok", "says": "s", "next": null, "facts": {}}]',
  'without anything to do, and without facts');
SELECT is(tallymark.finding('c', 'problem', 's', 'n', '{"a": 1}') || tallymark.finding('d', 'ok', 't', NULL, NULL),
  '[{"code": "c", "severity": "problem", "says": "s", "next": "n", "facts": {"a": 1}},
    {"code": "d", "severity": "ok", "says": "t", "next": null, "facts": {}}]', 'and they are put together');

SELECT * FROM finish();
ROLLBACK;
