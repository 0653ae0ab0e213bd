-- Gives the durations of a job's stages as one JSON document, as HTTP answers it.

CREATE OR REPLACE FUNCTION tallymark.stages_page(job_id text) RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  RETURN (
    SELECT jsonb_build_object('stages', coalesce(jsonb_agg(jsonb_build_object('stage', s.stage, 'seq', s.seq,
      'startedAt', tallymark.iso_timestamp(s.started_at), 'endedAt', tallymark.iso_timestamp(s.ended_at),
      'seconds', s.seconds) ORDER BY s.seq), '[]'))
    FROM tallymark.stage_durations(stages_page.job_id) AS s);
END
$$;

COMMENT ON FUNCTION tallymark.stages_page(text) IS
'Gives the stage_durations of a job as one JSON document.
Arguments: job_id: a registered job.
Returns: {"stages": [{"stage", "seq", "startedAt", "endedAt": null for the current stage, "seconds"}]}.
Errors: TK404 where there is no such job; TK400 where job_id is null, empty or too long.
Callers: tallymark_reader, tallymark_admin.';

REVOKE ALL ON FUNCTION tallymark.stages_page(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.stages_page(text) TO tallymark_reader, tallymark_admin;
