-- Several jobs at once give the same as each alone. Ids without a job are ignored.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(9);

DO $$
BEGIN
  PERFORM tallymark.create_job(id) FROM unnest('{R 1,R 2,Q}'::text[]) AS id;
  PERFORM tallymark.merge_progress('R 1', jsonb_build_object('processedItems', n, 'totalItems', 100))
  FROM generate_series(1, 5) AS n;
END
$$;

SELECT is(r -> 'rates' -> 'R 1', tallymark.job_rate('R 1'),
  'the same as each alone') FROM tallymark.job_rates('{R 1,R 2}') AS r;
SELECT is(r -> 'rates' -> 'R 2', tallymark.job_rate('R 2'), 'each of them') FROM tallymark.job_rates('{R 1,R 2}') AS r;
SELECT is(tallymark.job_rates('{R 1}', '1 minute') #> '{rates,R 1,windowSeconds}', '60',
  'over the given window');
SELECT is(tallymark.job_rates('{nobody,NULL}'), '{"rates": {}}', 'ids without a job are ignored');
SELECT is(tallymark.job_rates(NULL, NULL), '{"rates": {}}', 'none');
SELECT set_eq($$ SELECT jsonb_object_keys(tallymark.job_rates('{R 1,R 2,Q}', id_prefix => 'R ') -> 'rates') $$,
  '{R 1,R 2}'::text[], 'with id_prefix');
SELECT lives_ok($$ SELECT tallymark.job_rates(array_fill('R 1'::text, ARRAY[100])) $$, 'a hundred ids are accepted');
SELECT throws_ok($$ SELECT tallymark.job_rates(array_fill('R 1'::text, ARRAY[101])) $$, 'TK400', NULL, 'and not more');
SELECT throws_ok($$ SELECT tallymark.job_rates('{}', '0 s') $$, 'TK400', NULL, 'an empty window is refused');

SELECT * FROM finish();
ROLLBACK;
