-- Gives a run of a series as JSON.

CREATE OR REPLACE FUNCTION tallymark.run_document(job tallymark.job) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  RETURN jsonb_build_object('id', job.id, 'status', job.status,
    'createdAt', tallymark.iso_timestamp(job.created_at), 'startedAt', tallymark.iso_timestamp(job.started_at),
    'finishedAt', tallymark.iso_timestamp(job.finished_at),
    'seconds', trim_scale(round(extract(epoch FROM coalesce(job.finished_at, job.newest_at) - job.started_at), 3)),
    'items', tallymark.processed_items(job.progress), 'itemsByType', coalesce(job.progress -> 'itemsByType', '{}'),
    'percentage', tallymark.progress_percentage(job.progress), 'summary', tallymark.progress_summary(job.progress),
    'shortfall', tallymark.progress_shortfall(job.status, job.progress));
END
$$;

COMMENT ON FUNCTION tallymark.run_document(tallymark.job) IS
'Gives a run of a series as JSON.
Arguments: job: a row of tallymark.job.
Returns: {"id", "status", "createdAt", "startedAt", "finishedAt", "seconds": from the start to the end, or to the newest
update, "items": processed_items, "itemsByType", "percentage", "summary", "shortfall": see progress_shortfall}.';

REVOKE ALL ON FUNCTION tallymark.run_document(tallymark.job) FROM PUBLIC;
