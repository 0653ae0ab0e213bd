-- Of a long timeline the newest events are included, as many as the caller asks for, oldest first.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(7);

DO $$
BEGIN
  PERFORM tallymark.create_job('job');
  PERFORM tallymark.merge_progress('job', jsonb_build_object('processedItems', n)) FROM generate_series(1, 1100) AS n;
END
$$;
SELECT is((SELECT min((e -> 'seq')::bigint) || '-' || max((e -> 'seq')::bigint) || ': ' || count(*)
  FROM jsonb_array_elements(tallymark.get_job('job', c.most) #> '{progress,timeline}') AS e), c.numbers, c.words)
FROM (VALUES (1, 3, '1098-1100: 3', 'the newest three'), (2, 0, NULL, 'none'), (3, -1, NULL,
  'fewer than none are none'),
  (4, 5000, '101-1100: 1000', 'at most 1000'), (5, NULL, '1001-1100: 100', 'null is as if left out'))
  AS c (number, most, numbers, words)
ORDER BY c.number;
SELECT is(jsonb_array_length(tallymark.get_job('job') #> '{progress,timeline}'), 100, '100 when nothing is asked for');
SELECT is((SELECT jsonb_agg(e -> 'seq') FROM jsonb_array_elements(tallymark.get_job('job', 3) #> '{progress,timeline}')
  AS e),
  '[1098, 1099, 1100]', 'in the order of their numbers');

SELECT * FROM finish();
ROLLBACK;
