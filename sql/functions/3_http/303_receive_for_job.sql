-- Merges requests for one job that arrived over HTTP at the same moment. Where jobs are distributed over several servers,
-- a call with the job's id as an argument runs whole on the server that has the job.

CREATE OR REPLACE FUNCTION tallymark.receive_for_job(
  job_id text, bodies jsonb[], idempotency_keys text[], job_prefixes text[], wait boolean, lock_timeout integer,
  register boolean
) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  -- Where jobs are distributed, such a call gives null by itself, since the function is STRICT there.
  IF receive_for_job.job_id IS NULL THEN
    PERFORM tallymark.refuse_update('{}', '{}', '[{"field": "job_id", "problem": "is required"}]');
  END IF;
  -- Not by the caller: the session in which this runs may be another one than the caller's.
  PERFORM set_config('lock_timeout', receive_for_job.lock_timeout::text, true);
  IF cardinality(receive_for_job.bodies) = 1 AND NOT receive_for_job.wait
    AND jsonb_typeof(receive_for_job.bodies[1]) = 'object'
  THEN -- as a rule; it saves two statements
    RETURN jsonb_build_array(jsonb_build_array(
      tallymark.receive_progress(receive_for_job.bodies[1], receive_for_job.idempotency_keys[1],
        receive_for_job.job_prefixes[1], receive_for_job.register)::text,
      NULL, NULL));
  END IF;
  RETURN (
    SELECT coalesce(jsonb_agg(jsonb_build_array(g.answer::text, g.refusal, g.held) ORDER BY g.number), '[]')
    FROM tallymark.receive_group(receive_for_job.bodies, receive_for_job.idempotency_keys, receive_for_job.job_prefixes,
      receive_for_job.wait, receive_for_job.register) WITH ORDINALITY AS g (answer, refusal, held, number));
END
$$;

COMMENT ON FUNCTION tallymark.receive_for_job(text, jsonb[], text[], text[], boolean, integer, boolean) IS
'Merges the bodies of several requests for one job in one transaction, as receive_group does. In a distributed database
it runs on the server that has the job.
Arguments: job_id: the job, which decides where this runs and nothing else; a body of another job is merged, too, but
takes longer. bodies, idempotency_keys, job_prefixes, wait, register: those of receive_group. lock_timeout: for how many
milliseconds to wait for a lock, 0 for no limit. In a distributed database this gives null, and merges nothing, where an
argument is null; the elements of the arrays may be.
Returns: an array with [answer, refusal, held] for each body, in order: the columns of receive_group; answer is the JSON
document as a string.
Errors: those of receive_group; TK400 where job_id is null. One update alone, without wait, is refused as
receive_progress refuses it, and where another transaction holds its job for longer than lock_timeout, that is 55P03.
Callers: tallymark_writer, tallymark_admin.
Locks: those of receive_group.';

REVOKE ALL ON FUNCTION tallymark.receive_for_job(text, jsonb[], text[], text[], boolean, integer, boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.receive_for_job(text, jsonb[], text[], text[], boolean, integer, boolean)
TO tallymark_writer, tallymark_admin;
