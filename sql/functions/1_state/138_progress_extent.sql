-- Tells how far a job is, and how far it has to go. The percentage, the summary and the time left ask this.

CREATE OR REPLACE FUNCTION tallymark.progress_extent(progress jsonb, OUT done numeric, OUT total numeric)
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF progress_extent.progress ? 'totalItems' THEN
    total := trim_scale((progress_extent.progress -> 'totalItems')::numeric);
  ELSIF progress_extent.progress ?| '{totalsByType,foundByType}' THEN
    -- What failed or was skipped is not left any more. Of more items than there are, only as many as there are count.
    SELECT sum((b.value ->> 'total')::numeric), sum((b.value ->> 'total')::numeric - (b.value ->> 'left')::numeric)
    INTO total, done
    FROM jsonb_each(tallymark.progress_books(progress_extent.progress)) AS b
    HAVING bool_and(b.value ->> 'total' IS NOT NULL);
  END IF;
  IF done IS NULL THEN
    done := tallymark.processed_items(progress_extent.progress);
  END IF;
END
$$;

COMMENT ON FUNCTION tallymark.progress_extent(jsonb) IS
'Tells how far a job is. Pure: it reads no table.
Arguments: progress: the merged state of the job, such as the member progress of get_job.
Returns: done and total: processed_items and totalItems; where totalItems was never given and every type has a total,
the sums of the books (see progress_books): what is not left any more, and the totals. total is null where it is not
known.
Callers: tallymark_reader, tallymark_admin.';

REVOKE ALL ON FUNCTION tallymark.progress_extent(jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.progress_extent(jsonb) TO tallymark_reader, tallymark_admin;
