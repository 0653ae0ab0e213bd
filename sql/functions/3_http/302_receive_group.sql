-- Merges requests that arrived over HTTP at the same moment, in one transaction. PostgreSQL does much of its work once a
-- transaction, so this costs less than half of merging each by itself.

CREATE OR REPLACE FUNCTION tallymark.receive_group(
  bodies jsonb[], idempotency_keys text[] DEFAULT '{}', job_prefixes text[] DEFAULT '{}', wait boolean DEFAULT false,
  register boolean DEFAULT false
) RETURNS TABLE (answer jsonb, refusal jsonb, held text)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  c_required CONSTANT text[] := '{taskId,status,timestamp}'; -- as in receive_progress
  c_most_bodies CONSTANT integer := 1000;
  v_size CONSTANT integer := coalesce(cardinality(receive_group.bodies), 0);
  v_none CONSTANT jsonb[] := array_fill(NULL::jsonb, ARRAY[v_size]);
  v_answers jsonb[] := v_none;
  v_refusals jsonb[] := v_none;
  v_held text[] := array_fill(NULL::text, ARRAY[v_size]);
  v_order integer[] := ARRAY(
    SELECT b.number FROM unnest(receive_group.bodies) WITH ORDINALITY AS b (body, number)
    WHERE b.body IS NOT NULL ORDER BY b.number);
  v_jobs CONSTANT text[] := ARRAY(
    SELECT DISTINCT i.id FROM unnest(receive_group.bodies, receive_group.job_prefixes) AS b (body, job_prefix),
      unnest(tallymark.jobs_of(b.body, b.job_prefix)) AS i (id));
  v_busy text[] := '{}'::text[];
  v_number integer;
  v_outcome record;
BEGIN
  IF v_size > c_most_bodies THEN
    RAISE EXCEPTION USING ERRCODE = 'TK413', MESSAGE = 'Too many updates', DETAIL = format(
      'The group has %s bodies; at most %s are taken.', v_size, c_most_bodies);
  END IF;
  PERFORM tallymark.keep_shards(v_jobs, receive_group.bodies);
  IF receive_group.register THEN
    -- Before any job is locked, and outside what a refusal undoes. With their keys, because these may be what is wrong.
    v_busy := tallymark.register_reported(
      ARRAY(
        SELECT CASE WHEN b.key IS NOT NULL AND jsonb_typeof(b.body) = 'object'
            AND coalesce(b.body -> 'updateId', 'null') = 'null'
          THEN b.body || jsonb_build_object('updateId', b.key) ELSE b.body END
        FROM unnest(receive_group.bodies, receive_group.idempotency_keys) WITH ORDINALITY AS b (body, key, number)
        ORDER BY b.number),
      c_required, receive_group.job_prefixes, receive_group.wait);
    IF v_busy <> '{}' THEN -- others register these at this moment
      v_held := ARRAY(
        SELECT (SELECT i.id FROM unnest(tallymark.jobs_of(b.body, b.job_prefix)) AS i (id)
          WHERE i.id = ANY (v_busy) LIMIT 1)
        FROM unnest(receive_group.bodies, receive_group.job_prefixes) WITH ORDINALITY AS b (body, job_prefix, number)
        ORDER BY b.number);
      v_order := ARRAY(SELECT o.number FROM unnest(v_order) AS o (number) WHERE v_held[o.number] IS NULL);
    END IF;
  END IF;
  BEGIN
    -- Lock order: all jobs, in the order of their ids, before anything is merged. Then each body is merged as if it were
    -- alone. A refusal, which is rare, undoes all of it.
    IF receive_group.wait THEN
      PERFORM tallymark.lock_jobs(v_jobs);
    ELSE
      v_busy := tallymark.lock_free_jobs(v_jobs, v_size = 1);
    END IF;
    FOREACH v_number IN ARRAY v_order LOOP
      IF v_busy <> '{}' THEN
        v_held[v_number] := (
          SELECT i.id FROM unnest(
            tallymark.jobs_of(receive_group.bodies[v_number], receive_group.job_prefixes[v_number])) AS i (id)
          WHERE i.id = ANY (v_busy) LIMIT 1);
      END IF;
      IF v_held[v_number] IS NULL THEN
        v_answers[v_number] := tallymark.receive_progress(receive_group.bodies[v_number],
          receive_group.idempotency_keys[v_number], receive_group.job_prefixes[v_number]);
      END IF;
    END LOOP;
  EXCEPTION WHEN SQLSTATE 'TK400' OR SQLSTATE 'TK403' OR SQLSTATE 'TK404' OR SQLSTATE 'TK409' OR SQLSTATE 'TK413' THEN
    -- Again, each in a subtransaction of its own. All jobs are locked first, in the same order. lock_free_jobs may wait,
    -- too: for a row that was updated after it was found and is locked by another transaction. In another order that
    -- would be a deadlock.
    IF receive_group.wait THEN
      PERFORM tallymark.lock_jobs(v_jobs);
    ELSE
      v_busy := tallymark.lock_free_jobs(v_jobs, v_size = 1);
    END IF;
    v_answers := v_none; -- these updates were undone
    FOREACH v_number IN ARRAY v_order LOOP
      v_held[v_number] := (
        SELECT i.id FROM unnest(
          tallymark.jobs_of(receive_group.bodies[v_number], receive_group.job_prefixes[v_number])) AS i (id)
        WHERE i.id = ANY (v_busy) LIMIT 1);
      IF v_held[v_number] IS NULL THEN
        v_outcome := tallymark.receive_or_refuse(receive_group.bodies[v_number],
          receive_group.idempotency_keys[v_number], receive_group.job_prefixes[v_number]);
        v_answers[v_number] := v_outcome.answer;
        v_refusals[v_number] := v_outcome.refusal;
      END IF;
    END LOOP;
  END;
  IF receive_group.register AND EXISTS (
    SELECT FROM unnest(v_answers, v_refusals) AS o (answer, refusal)
    WHERE o.answer @> '[{"status": 404}]' OR o.refusal ->> 'sqlstate' = 'TK404')
  THEN
    RAISE EXCEPTION USING ERRCODE = '40001', MESSAGE = 'A job was deleted while an update of it arrived',
      HINT = 'Call the function again: that registers the job.';
  END IF;
  IF receive_group.register AND v_size = 1 AND v_held[1] IS NOT NULL AND EXISTS (
    SELECT 1 FROM tallymark.job AS j WHERE j.id = ANY (v_jobs) AND j.last_seq = 0)
  THEN
    -- A batch that waits for one of its jobs, and may wait in vain, leaves none that it has registered.
    RAISE EXCEPTION USING ERRCODE = '55P03', MESSAGE = format('Job %L is held by another transaction', v_held[1]);
  END IF;
  RETURN QUERY SELECT v_answers[n.number], v_refusals[n.number], v_held[n.number]
  FROM generate_series(1, v_size) AS n (number);
END
$$;

COMMENT ON FUNCTION tallymark.receive_group(jsonb[], text[], text[], boolean, boolean) IS
'Merges the bodies of several requests in one transaction, in the order in which they are given. Each gets what
receive_progress would give it alone: a body that is refused, or whose job another transaction holds, affects no other.
Arguments: bodies: at most 1000, each an update or a batch; a null is passed over. idempotency_keys, job_prefixes: those
of receive_progress for each body, in the same order; a missing one is null. wait: whether to wait for jobs that other
transactions hold, as long as lock_timeout allows for each; register: that of receive_progress, for all bodies.
Returns: a row for each body, in order: answer: what receive_progress returns, or null; refusal: null, or where it was
refused {"sqlstate", "message", "detail", "hint"}: the fields of the error that receive_progress raises; held: null, or
without wait a job of the body that another transaction holds, or whose state is so large that it would hold up the
others of the group. Nothing of a body was merged that has no answer.
Errors: TK413 where there are more than 1000 bodies; with register also 40001 as receive_progress, and 55P03 for one body
alone instead of held, where a job of it has no events yet.
Callers: tallymark_writer, tallymark_admin.
Locks: the jobs'' rows, in the order of their ids (by their bytes), before anything is merged, until the end of the
transaction. As a rule it holds none of them while it waits for another.';

REVOKE ALL ON FUNCTION tallymark.receive_group(jsonb[], text[], text[], boolean, boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.receive_group(jsonb[], text[], text[], boolean, boolean) TO tallymark_writer, tallymark_admin;
