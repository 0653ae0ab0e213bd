-- The figures are jobs by status, stalled jobs, open alerts, outcomes of verification, and sizes.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(6);
\ir ../helpers.psql

-- A database in use has such figures before.
DO $$ BEGIN PERFORM tallymark.raise_alerts(); END $$;
CREATE TEMPORARY TABLE before AS SELECT tallymark.operating_figures() AS f;
DO $$
BEGIN
  PERFORM tallymark.create_job(id) FROM unnest('{queued,failed,silent}'::text[]) AS j (id);
  PERFORM tallymark.merge_progress('failed', '{"status": "failed"}');
  PERFORM tallymark.merge_progress('silent', '{}');
  PERFORM pg_temp.move('job', 'updated_at', '-2 hours', $c$id = 'silent'$c$);
  PERFORM pg_temp.move('job_event', 'recorded_at', '-2 hours', $c$job_id = 'silent'$c$);
  PERFORM tallymark.raise_alerts();
  PERFORM tallymark.note_verification('failed');
END
$$;
CREATE TEMPORARY TABLE figures AS SELECT tallymark.operating_figures() AS f;
CREATE FUNCTION pg_temp.more(VARIADIC path text[]) RETURNS bigint LANGUAGE sql AS $$
  SELECT (n.f #> path)::bigint - coalesce((b.f #> path)::bigint, 0) FROM figures AS n, before AS b
$$;
SELECT is(pg_temp.more('jobs', 'failed'), 1::bigint, 'a job has failed');
SELECT is(pg_temp.more('jobs', 'queued'), 1::bigint, 'nobody has reported on one');
SELECT is(pg_temp.more('stalled'), 1::bigint, 'one is silent');
SELECT is(ARRAY[pg_temp.more('alerts', 'failed'), pg_temp.more('alerts', 'stalled')], '{1,1}', 'which are alerts');
SELECT is(ARRAY[pg_temp.more('checks', 'exact'), pg_temp.more('checks', 'differing')], '{1,0}', 'one was verified');
SELECT ok((f #> '{tables,job_event,bytes}')::bigint > 0, 'the ledger has a size') FROM figures;

SELECT * FROM finish();
ROLLBACK;
