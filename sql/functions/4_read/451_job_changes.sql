-- Gives what happened to some jobs, for callers that watch them.

CREATE OR REPLACE FUNCTION tallymark.job_changes(ids text[], seqs bigint[], max_events integer DEFAULT 200)
RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  c_most_bytes CONSTANT integer := tallymark.page_byte_limit();
  v_most CONSTANT bigint := least(greatest(coalesce(job_changes.max_events, 200), 0), 1000);
  v_id text;
  v_seq bigint;
  v_job tallymark.job;
  v_new bigint;
  v_events jsonb;
  v_change jsonb;
  v_changes jsonb[] := '{}';
  v_bytes bigint := 0;
BEGIN
  FOR v_id, v_seq IN
    SELECT w.id, w.seq FROM unnest(job_changes.ids, job_changes.seqs) AS w (id, seq)
    -- LIMIT 1 makes this one index lookup per job, whatever number of jobs the plan was made for.
    LEFT JOIN LATERAL (SELECT s.last_seq, s.updated_at FROM tallymark.job AS s WHERE s.id = w.id LIMIT 1) AS j ON true
    WHERE w.id IS NOT NULL AND j.last_seq IS DISTINCT FROM coalesce(w.seq, -1)
    -- The longest unchanged job comes first, so that large jobs cannot keep another one out for ever.
    ORDER BY j.updated_at NULLS FIRST, w.id
  LOOP
    SELECT j.* INTO v_job FROM tallymark.job AS j WHERE j.id = v_id;
    IF NOT FOUND THEN
      v_changes := v_changes || jsonb_build_object('id', v_id, 'gone', true);
      CONTINUE;
    END IF;
    v_new := CASE WHEN v_seq > v_job.last_seq THEN v_job.last_seq
      WHEN v_seq >= 0 THEN v_job.last_seq - v_seq ELSE 0 END;
    SELECT coalesce(jsonb_agg(
      tallymark.event_document(t.seq, t."timestamp", t.event, t.details, t.recorded_at) ORDER BY t.seq), '[]')
    INTO v_events
    FROM tallymark.timeline_before(v_id, NULL, least(v_new, v_most)::integer) AS t;
    v_change := jsonb_build_object('id', v_id, 'lastSeq', v_job.last_seq,
      'tag', tallymark.job_tag(v_job.created_at, v_job.last_seq), 'job', tallymark.job_document(v_job),
      'events', v_events, 'skipped', v_new - jsonb_array_length(v_events));
    v_bytes := v_bytes + octet_length(v_change::text);
    EXIT WHEN v_bytes > c_most_bytes AND cardinality(v_changes) > 0; -- the next call gives the others
    v_changes := v_changes || v_change;
  END LOOP;
  RETURN to_jsonb(v_changes);
END
$$;

COMMENT ON FUNCTION tallymark.job_changes(text[], bigint[], integer) IS
'Gives what happened to some jobs since the caller last asked.
Arguments: ids: the jobs; seqs: for each the number of the last event that the caller knows, -1 or null for a caller
that knows nothing and wants no events; max_events: how many of a job''s newest events to include, 0 to 1000, null for
200, and at most 16 MB of JSON.
Returns: an array with one element for each job whose last event has another number: {"id", "lastSeq", "tag": as
read_job gives it, "job": as get_job gives it, without timeline, "events": as timeline_page gives them, in the order
of the ledger, "skipped": how many older ones were left out}, or {"id", "gone": true} where there is no such job. A
job whose last number is below the known one was registered again, and is given from its first event. Where all
changes would exceed 16 MB, the jobs that changed last are left out; the next call with the same numbers gives them.
Callers: tallymark_reader, tallymark_admin.
Cost: one lookup for each job; for those that changed the job and the events.';

REVOKE ALL ON FUNCTION tallymark.job_changes(text[], bigint[], integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.job_changes(text[], bigint[], integer) TO tallymark_reader, tallymark_admin;
