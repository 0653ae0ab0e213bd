-- The order is that of the failures, not of the registrations. A job that runs again is not listed.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(7);

CREATE FUNCTION pg_temp.failures(since timestamptz, max_jobs integer, id_prefix text) RETURNS text[] LANGUAGE sql AS $$
  SELECT ARRAY(SELECT f.job ->> 'id' FROM jsonb_array_elements(
    tallymark.recent_failures(since, max_jobs, id_prefix) -> 'jobs') WITH ORDINALITY AS f (job, number) ORDER BY number)
$$;

DO $$
DECLARE
  v_now CONSTANT timestamptz := statement_timestamp();
  v_id text;
BEGIN
  FOREACH v_id IN ARRAY ARRAY['R a1', 'R a2', 'R b1', 'R b2', 'R gone_on', 'R old'] LOOP
    PERFORM tallymark.create_job(v_id);
  END LOOP;
  PERFORM tallymark.merge_progress(j.id, jsonb_build_object('status', j.status, 'timestamp', v_now - j.ago,
    'error', jsonb_build_object('type', 'Oops', 'message', 'it broke')))
  FROM (VALUES ('R a1', 'failed', interval '1 minute'), ('R b1', 'failed', '2 minutes'), ('R b2', 'cancelled', '1 minute'),
    ('R a2', 'failed', '3 hours'), ('R gone_on', 'failed', '2 minutes'), ('R gone_on', 'processing', '1 minute'),
    ('R old', 'failed', '2 days')) AS j (id, status, ago);
END
$$;

SELECT is(pg_temp.failures(NULL, NULL, 'R '), '{R a1,R b1,R a2}', 'those of the last day, the last one first');
SELECT is(pg_temp.failures(statement_timestamp() - interval '1 hour', NULL, 'R '), '{R a1,R b1}', 'those since an instant');
SELECT is(pg_temp.failures('-infinity', NULL, 'R '), '{R a1,R b1,R a2,R old}', 'all there are');
SELECT ok(pg_temp.failures(NULL, 1000, NULL) @> '{R a1,R b1}', 'of all jobs');
SELECT is(pg_temp.failures(NULL, 1, 'R '), '{R a1}', 'so many');
SELECT is(pg_temp.failures(NULL, NULL, 'R a'), '{R a1,R a2}', 'those whose ids begin like this');
SELECT is(tallymark.recent_failures(id_prefix => 'R ') #> '{jobs,0,error}', '{"type": "Oops", "message": "it broke"}', 'with the error');

SELECT * FROM finish();
ROLLBACK;
