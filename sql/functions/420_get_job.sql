-- A job in the original's shape.

CREATE OR REPLACE FUNCTION tallymark.get_job(job_id text, timeline_limit integer DEFAULT 100) RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  v_job tallymark.job;
  c_most_bytes CONSTANT integer := 16777216;
  v_timeline jsonb;
BEGIN
  SELECT j.* INTO v_job FROM tallymark.job AS j WHERE j.id = get_job.job_id;
  IF NOT FOUND THEN
    PERFORM tallymark.refuse_unknown_job(get_job.job_id);
  END IF;
  -- The newest events, the oldest of them first, as the original's timeline reads.
  SELECT coalesce(jsonb_agg(jsonb_build_object('seq', e.seq, 'timestamp', tallymark.iso_timestamp(e.occurred_at),
    'event', e.event, 'details', tallymark.event_details(e.payload, e.details)) ORDER BY e.seq), '[]')
  INTO v_timeline
  FROM (
    SELECT p.*, sum(octet_length(p.payload::text)) OVER (ORDER BY p.seq DESC) AS bytes
    FROM (
      SELECT n.* FROM tallymark.job_event AS n WHERE n.job_id = get_job.job_id
      ORDER BY n.seq DESC LIMIT least(greatest(coalesce(get_job.timeline_limit, 100), 0), 1000)
    ) AS p
  ) AS e
  -- More would be too much for one JSON document; timeline has the others.
  WHERE coalesce(e.bytes, 0) <= c_most_bytes;
  RETURN jsonb_build_object(
    'id', v_job.id,
    'status', v_job.status,
    'progress', v_job.progress || jsonb_build_object('timeline', v_timeline),
    'resumeState', v_job.resume_state,
    'lastSeq', v_job.last_seq,
    'percentage', tallymark.progress_percentage(v_job.progress),
    'summary', tallymark.progress_summary(v_job.progress),
    'startedAt', tallymark.iso_timestamp(v_job.started_at),
    'finishedAt', tallymark.iso_timestamp(v_job.finished_at),
    'updatedAt', tallymark.iso_timestamp(v_job.updated_at),
    'createdAt', tallymark.iso_timestamp(v_job.created_at),
    'attributes', v_job.attributes,
    'command', v_job.requested_command);
END
$$;

COMMENT ON FUNCTION tallymark.get_job(text, integer) IS
'A job in the original''s shape.
Arguments: job_id; timeline_limit, how many of its newest events go along, 0 to 1000, as far as
16 MB hold them.
Returns: {"id", "status", "progress": the merged state with "timeline", "resumeState", "lastSeq", "percentage",
"summary", "startedAt", "finishedAt", "updatedAt", "createdAt", "attributes", "command"}.
Errors: TK404, no such job.';

REVOKE ALL ON FUNCTION tallymark.get_job(text, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.get_job(text, integer) TO tallymark_reader, tallymark_admin;
