-- Registers the jobs that arriving updates are the first to report on, for endpoints that are set to do so.

CREATE OR REPLACE FUNCTION tallymark.register_reported(
  bodies jsonb[], required text[], job_prefixes text[], wait boolean
) RETURNS text[]
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
-- As in merge_batch: planned once per session, perhaps while the table is empty.
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
AS $$
DECLARE
  v_patience CONSTANT text := current_setting('lock_timeout');
  v_ids CONSTANT text[] := ARRAY(
    SELECT DISTINCT i.id
    FROM unnest(register_reported.bodies, register_reported.job_prefixes) AS b (body, job_prefix),
      unnest(tallymark.jobs_of(b.body, b.job_prefix)) AS i (id));
  v_new text[] := '{}'::text[];
  v_id text;
  v_held text[] := '{}'::text[];
BEGIN
  IF to_regclass('pg_catalog.pg_dist_partition') IS NOT NULL THEN
    SET LOCAL plan_cache_mode TO DEFAULT; -- as in lock_free_jobs
  END IF;
  FOREACH v_id IN ARRAY v_ids LOOP
    PERFORM 1 FROM tallymark.job AS j WHERE j.id = v_id;
    IF NOT FOUND THEN
      v_new := v_new || v_id;
    END IF;
  END LOOP;
  IF v_new = '{}' THEN -- as a rule
    RETURN v_held;
  END IF;
  -- Of these, the ones with an update that will be accepted: what is refused leaves nothing behind.
  v_new := ARRAY(
    SELECT DISTINCT u.job_id COLLATE "C" AS id
    FROM unnest(register_reported.bodies, register_reported.job_prefixes) AS b (body, job_prefix),
      unnest(tallymark.judge_batch(
        CASE jsonb_typeof(b.body) WHEN 'array' THEN b.body ELSE jsonb_build_array(b.body) END,
        register_reported.required, coalesce(b.job_prefix, ''))) AS u
    WHERE tallymark.jobs_of(b.body, b.job_prefix) && v_new
      AND u.refusal IS NULL AND u.job_id = ANY (v_new) AND tallymark.update_problems(u.job_id, '{}') IS NULL
    ORDER BY id);
  -- Lock order: new rows in the order of their ids, before any row is locked. Another transaction that registers the same
  -- job makes this one wait until it ends.
  FOREACH v_id IN ARRAY v_new LOOP
    BEGIN
      IF NOT register_reported.wait THEN
        PERFORM set_config('lock_timeout', '1', true);
      END IF;
      PERFORM tallymark.create_job(v_id);
      PERFORM set_config('lock_timeout', v_patience, true);
    EXCEPTION WHEN lock_not_available THEN
      IF register_reported.wait THEN
        RAISE;
      END IF;
      v_held := v_held || v_id;
    END;
  END LOOP;
  RETURN v_held;
END
$$;

COMMENT ON FUNCTION tallymark.register_reported(jsonb[], text[], text[], boolean) IS
'Registers the jobs that updates report on and that are not there yet, without attributes. Only a job with at least one
update that can be accepted is registered.
Arguments: bodies: of requests, each an update or a batch, or null; required: the members that each update must have;
job_prefixes: the beginning of the ids of the caller''s jobs for each body, null or empty for all jobs; wait: whether to
wait for other transactions that are registering the same job.
Returns: without wait, the jobs that another transaction is registering at the moment; these were not registered.
Errors: with wait, 55P03 where that takes longer than lock_timeout.
Locks: new rows, in the order of their ids, until the end of the transaction. It must come before any job is locked.';

REVOKE ALL ON FUNCTION tallymark.register_reported(jsonb[], text[], text[], boolean) FROM PUBLIC;
