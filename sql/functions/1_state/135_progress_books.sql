-- Balances the books of a job: of each type how many there are, what became of them, and how many are left. The one
-- definition, for everything that shows what is missing from a job.

CREATE OR REPLACE FUNCTION tallymark.progress_books(progress jsonb) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF (progress_books.progress ?| '{totalsByType,foundByType,failedByType,skippedByType}') IS NOT TRUE THEN
    RETURN NULL; -- as most jobs: nothing to balance
  END IF;
  RETURN (
    SELECT jsonb_object_agg(b.type, jsonb_build_object('total', b.total, 'done', b.done, 'failed', b.failed,
      'skipped', b.skipped,
      'left', CASE WHEN b.total IS NOT NULL THEN greatest(b.total - b.done - b.failed - b.skipped, 0) END,
      'over', CASE WHEN b.total IS NOT NULL THEN greatest(b.done + b.failed + b.skipped - b.total, 0) END))
    FROM (
      SELECT t.key AS type,
        -- Under the empty name stand the types for which the state has no room, and not all that they counted.
        CASE WHEN t.key <> '' THEN coalesce(
          trim_scale(sum(t.value::numeric) FILTER (WHERE m.member = 'totalsByType')),
          trim_scale(sum(t.value::numeric) FILTER (WHERE m.member = 'foundByType'))) END AS total,
        coalesce(trim_scale(sum(t.value::numeric) FILTER (WHERE m.member = 'itemsByType')), 0) AS done,
        coalesce(trim_scale(sum(t.value::numeric) FILTER (WHERE m.member = 'failedByType')), 0) AS failed,
        coalesce(trim_scale(sum(t.value::numeric) FILTER (WHERE m.member = 'skippedByType')), 0) AS skipped
      FROM unnest('{itemsByType,totalsByType,foundByType,failedByType,skippedByType}'::text[]) AS m (member),
        -- A state that was changed by hand is left to verify.
        jsonb_each(CASE jsonb_typeof(progress_books.progress -> m.member)
          WHEN 'object' THEN progress_books.progress -> m.member END) AS t
      WHERE jsonb_typeof(t.value) = 'number'
      GROUP BY t.key
    ) AS b);
END
$$;

COMMENT ON FUNCTION tallymark.progress_books(jsonb) IS
'Balances the books of a job: of each type how many items there are, what became of them, and how many are left. Pure:
it reads no table.
Arguments: progress: the merged state of the job, such as the member progress of get_job.
Returns: {"type": {"total": totalsByType, else foundByType, "done": itemsByType, "failed": failedByType, "skipped":
skippedByType, "left": total - done - failed - skipped, at least 0, "over": by how much these exceed the total}}, with
every type that any of these members names. total, left and over are null where the total is not known. Null where the
job has none of totalsByType, foundByType, failedByType and skippedByType.
Callers: tallymark_reader, tallymark_admin.';

REVOKE ALL ON FUNCTION tallymark.progress_books(jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.progress_books(jsonb) TO tallymark_reader, tallymark_admin;
