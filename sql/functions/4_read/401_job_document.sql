-- The one definition of a job as JSON in the original's shape, for everything that shows a job.

CREATE OR REPLACE FUNCTION tallymark.job_document(job tallymark.job) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  v_guidance CONSTANT jsonb := tallymark.credential_guidance(job.status, job.progress -> 'credentialStatus');
BEGIN
  RETURN jsonb_build_object(
    'id', job.id,
    'status', job.status,
    'progress', job.progress,
    'resumeState', job.resume_state,
    'lastSeq', job.last_seq,
    'percentage', tallymark.progress_percentage(job.progress),
    'summary', tallymark.progress_summary(job.progress),
    'books', tallymark.progress_books(job.progress),
    'shortfall', tallymark.progress_shortfall(job.status, job.progress),
    'startedAt', tallymark.iso_timestamp(job.started_at),
    'finishedAt', tallymark.iso_timestamp(job.finished_at),
    'updatedAt', tallymark.iso_timestamp(job.updated_at),
    'createdAt', tallymark.iso_timestamp(job.created_at),
    'attributes', job.attributes,
    'command', job.requested_command)
    || CASE WHEN v_guidance IS NULL THEN '{}' ELSE jsonb_build_object('credentialGuidance', v_guidance) END
    || CASE WHEN job.parent IS NULL THEN '{}' ELSE jsonb_build_object('parent', job.parent) END
    || CASE job.status WHEN 'waiting' THEN jsonb_build_object('wait', tallymark.current_wait(job)) ELSE '{}' END;
END
$$;

COMMENT ON FUNCTION tallymark.job_document(tallymark.job) IS
'Gives a job as JSON in the original''s shape, without its timeline.
Arguments: job: a row of tallymark.job.
Returns: {"id", "status", "progress": the merged state, "resumeState", "lastSeq", "percentage", "summary",
"books" (see progress_books), "shortfall" (see progress_shortfall), "startedAt", "finishedAt", "updatedAt", "createdAt",
"attributes", "command"}; while the job has a credential status also "credentialGuidance" (see credential_guidance);
where it is part of another job also "parent"; while it waits also "wait" (see current_wait).';

REVOKE ALL ON FUNCTION tallymark.job_document(tallymark.job) FROM PUBLIC;
