-- An import makes two updates at the same moment. They are no habit: an imported job may be silent for as long as a job
-- whose habit is not known.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(3);

SELECT is(tallymark.import_original_row('{"id": "job", "status": "running", "progress": {"processedItems": 5}}')
  ->> 'outcome', 'imported', 'a job is imported');
SELECT results_eq($$ SELECT f.updates, f.long_gap, f.last_update = j.updated_at
    FROM tallymark.job AS j, tallymark.update_frequency(j.id) AS f WHERE j.id = 'job' $$,
  $$ VALUES (1::bigint, NULL::interval, true) $$, 'one update counts, the last');
SELECT results_eq($$ SELECT s.allowed FROM tallymark.stalled_jobs(as_of => now() + interval '1 hour', id_prefix => 'job')
    AS s $$, $$ VALUES (interval '15 minutes') $$, 'it may be silent for 15 minutes');

SELECT * FROM finish();
ROLLBACK;
