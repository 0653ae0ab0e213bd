-- Numbers that no double can hold are found wherever they are: as text each could take 131,072 bytes.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(12);

SELECT is(tallymark.has_huge_number(c.value), c.outcome, c.words)
FROM (VALUES
  (1, '{"x": 1e308}'::jsonb, false, 'the largest that is taken'),
  (2, '{"x": 1e309}', true, 'one that is larger'),
  (3, '{"x": -1e309}', true, 'one below'),
  (4, '{"x": [1, {"y": [2, 1e131071]}]}', true, 'deep inside'),
  (5, '{"x": "1e131071", "y": null, "z": 9007199254740993}', false, 'texts and common numbers'),
  (6, '1e131071', true, 'a number alone')) AS c (number, value, outcome, words)
ORDER BY c.number;

DO $$ BEGIN PERFORM tallymark.create_job('job'); END $$;
SELECT throws_ok($$ SELECT tallymark.merge_progress('job', '{"custom": [1e131071]}') $$, 'TK400', NULL,
  'an update with one is refused');
SELECT throws_ok($$ SELECT tallymark.create_job('other', '{"custom": 1e131071}') $$, 'TK400', NULL, 'and so is a job');
SELECT throws_ok(format('SELECT tallymark.merge_progress(%L, %L)', 'job',
  (SELECT jsonb_object_agg('k' || n, 1) FROM generate_series(1, 1001) AS n)), 'TK400', NULL,
  'an update of more than 1000 members is refused, too');
SELECT throws_ok($$ SELECT tallymark.merge_progress('job', '{"timestamp": [1e131071]}') $$, 'TK400', NULL,
  'also where a text is expected');
SELECT throws_ok($$ SELECT tallymark.receive_progress('{"taskId": [1e131071], "status": [1e131071]}') $$, 'TK400', NULL,
  'and over HTTP');
SELECT is((SELECT last_seq FROM tallymark.job WHERE id = 'job'), 0::bigint, 'and nothing was stored');

SELECT * FROM finish();
ROLLBACK;
