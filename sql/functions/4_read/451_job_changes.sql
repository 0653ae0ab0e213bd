-- Gives what happened to some jobs, for callers that watch them.

CREATE OR REPLACE FUNCTION tallymark.job_changes(
  ids text[], seqs bigint[], max_events integer DEFAULT 200, marks bigint[] DEFAULT NULL
) RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off -- the jobs are looked up by their ids, whatever number of them the plan was made for
AS $$
DECLARE
  c_most_bytes CONSTANT integer := tallymark.page_byte_limit();
  v_most CONSTANT bigint := least(greatest(coalesce(job_changes.max_events, 200), 0), 1000);
  v_id text;
  v_seq bigint;
  v_known bigint;
  v_mark bigint;
  v_found bigint;
  v_job tallymark.job;
  v_new bigint;
  v_events jsonb;
  v_change jsonb;
  v_changes jsonb[] := '{}';
  v_bytes bigint := 0;
  v_replaced boolean;
  v_last_seq bigint;
  v_command_seq bigint;
  v_updated_at timestamptz;
BEGIN
  FOR v_id, v_seq, v_known, v_last_seq, v_command_seq, v_updated_at IN
    SELECT w.id, w.seq, w.mark, j.last_seq, j.command_seq, j.updated_at
    FROM unnest(job_changes.ids, job_changes.seqs, job_changes.marks) AS w (id, seq, mark)
    LEFT JOIN (
      SELECT s.id, s.last_seq, s.command_seq, s.updated_at FROM tallymark.job AS s WHERE s.id = ANY (job_changes.ids)
    ) AS j ON j.id = w.id
    -- Most jobs have not changed, which needs no job_mark.
    WHERE w.id IS NOT NULL AND (j.last_seq IS DISTINCT FROM coalesce(w.seq, -1) OR j.command_seq = j.last_seq
      OR w.mark <> (extract(epoch FROM j.updated_at) * 1000000)::bigint)
    -- The longest unchanged job comes first, so that large jobs cannot keep another one out for ever.
    ORDER BY j.updated_at NULLS FIRST, w.id
  LOOP
    v_mark := tallymark.job_mark(v_id, v_last_seq, v_command_seq, v_updated_at);
    CONTINUE WHEN v_last_seq = coalesce(v_seq, -1) AND (v_mark <> v_known) IS NOT TRUE;
    SELECT j.* INTO v_job FROM tallymark.job AS j WHERE j.id = v_id;
    IF NOT FOUND THEN
      v_changes := v_changes || jsonb_build_object('id', v_id, 'gone', true);
      CONTINUE;
    END IF;
    v_replaced := false;
    IF v_known IS NOT NULL AND v_seq BETWEEN 1 AND v_job.last_seq THEN
      -- Null where it was pruned: then nobody can tell whether it was another one.
      v_found := (SELECT (extract(epoch FROM e.recorded_at) * 1000000)::bigint FROM tallymark.job_event AS e
        WHERE e.job_id = v_id AND e.seq = v_seq);
      IF v_found <> v_known THEN
        v_seq := -1;
        v_replaced := true;
      END IF;
    END IF;
    v_new := CASE WHEN v_seq > v_job.last_seq THEN v_job.last_seq
      WHEN v_seq >= 0 THEN v_job.last_seq - v_seq ELSE 0 END;
    SELECT coalesce(jsonb_agg(
      tallymark.event_document(t.seq, t."timestamp", t.event, t.details, t.recorded_at) ORDER BY t.seq), '[]')
    INTO v_events
    FROM tallymark.timeline_before(v_id, NULL, least(v_new, v_most)::integer) AS t;
    v_change := jsonb_build_object('id', v_id, 'lastSeq', v_job.last_seq,
      'tag', tallymark.job_tag(v_job.created_at, v_job.last_seq, v_mark), 'job', tallymark.job_document(v_job),
      'events', v_events, 'skipped', v_new - jsonb_array_length(v_events))
      || CASE WHEN v_replaced THEN '{"replaced": true}' ELSE '{}' END::jsonb;
    v_bytes := v_bytes + octet_length(v_change::text);
    EXIT WHEN v_bytes > c_most_bytes AND cardinality(v_changes) > 0; -- the next call gives the others
    v_changes := v_changes || v_change;
  END LOOP;
  RETURN to_jsonb(v_changes);
END
$$;

COMMENT ON FUNCTION tallymark.job_changes(text[], bigint[], integer, bigint[]) IS
'Gives what happened to some jobs since the caller last asked.
Arguments: ids: the jobs; seqs: for each the number of the last event that the caller knows, -1 or null for a caller
that knows nothing and wants no events; max_events: how many of a job''s newest events to include, 0 to 1000, null for
200, and at most 16 MB of JSON; marks: for each the last part of the tag of the state that the caller knows, as a
number, null where it does not say.
Returns: an array with one element for each job whose last event has another number or mark: {"id", "lastSeq", "tag": as
read_job gives it, "job": as get_job gives it, without timeline, "events": as timeline_page gives them, in the order
of the ledger, "skipped": how many older ones were left out}, or {"id", "gone": true} where there is no such job. A
job whose last number is below the known one was registered again or restored from a backup, and is given from its
first event. Where the event that the caller knows is another one now, because a backup was restored and the job went
on, the element has "replaced": true, and no events. Where all
changes would exceed 16 MB, the jobs that changed last are left out; the next call with the same numbers gives them.
Callers: tallymark_reader, tallymark_admin.
Cost: one lookup for each job; for those that changed the job and the events.';

REVOKE ALL ON FUNCTION tallymark.job_changes(text[], bigint[], integer, bigint[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.job_changes(text[], bigint[], integer, bigint[])
  TO tallymark_reader, tallymark_admin;
