-- Many updates in one call, for callers in SQL.

CREATE OR REPLACE FUNCTION tallymark.merge_progress_batch(updates jsonb) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  RETURN tallymark.merge_batch(merge_progress_batch.updates, '{taskId}', '');
END
$$;

COMMENT ON FUNCTION tallymark.merge_progress_batch(jsonb) IS
'Merges many updates of any jobs, all in one transaction; one that is refused spoils none of the others.
Arguments: updates, a JSON array of at most 1000 updates as merge_progress takes them, each with its taskId.
Returns: an array with a result for each, in order: what merge_progress would answer, by the job''s state after the
whole batch, with resume for the last of those that started a job; or, for one that is refused, {"status": 400, 404
or 413, "error", "details": [{"field", "problem"}]}.
Errors: TK400, no array; TK413, more than 1000 updates. Nothing was merged then.
Locks: the jobs'' rows, in the order of their ids (by their bytes), until the end of the transaction.';

REVOKE ALL ON FUNCTION tallymark.merge_progress_batch(jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.merge_progress_batch(jsonb) TO tallymark_writer, tallymark_admin;
