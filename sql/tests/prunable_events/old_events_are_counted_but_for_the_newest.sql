-- Events that may be pruned are counted by age, without the newest events of each job.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(5);
\ir ../helpers.psql

DO $$
BEGIN
  PERFORM tallymark.create_job(id) FROM unnest('{a,b,c}'::text[]) AS j (id);
  FOR n IN 1..10 LOOP
    PERFORM tallymark.merge_progress(id, jsonb_build_object('updateId', n::text)) FROM unnest('{a,b}'::text[]) AS j (id);
  END LOOP;
  PERFORM pg_temp.move('job_event', 'recorded_at', '-40 days', $c$job_id IN ('a', 'b', 'c') AND seq <= 6$c$);
  PERFORM pg_temp.move('job_event', 'recorded_at', '-10 days', $c$job_id = 'b' AND seq > 6$c$);
END
$$;
SELECT results_eq($$SELECT * FROM tallymark.prunable_events('{a,b,c,no}', now() - interval '30 days', 0)$$,
  $$VALUES ('a', 6::bigint), ('b', 6)$$, 'what is older than 30 days');
SELECT results_eq($$SELECT * FROM tallymark.prunable_events('{a,b}', now() - interval '5 days', 3)$$,
  $$VALUES ('a', 6::bigint), ('b', 7)$$, 'but for the newest three of each');
SELECT is_empty($$SELECT * FROM tallymark.prunable_events('{a,b}', 'infinity')$$, 'of ten events all are among the newest');
SELECT is(tallymark.prune_job('a', now() - interval '30 days', 0) -> 'events', '6', 'as many are pruned');
SELECT is_empty($$SELECT * FROM tallymark.prunable_events('{a}', now() - interval '30 days', 0)$$, 'and none is left');

SELECT * FROM finish();
ROLLBACK;
