-- Merges many updates in one call, for callers in SQL.

CREATE OR REPLACE FUNCTION tallymark.merge_progress_batch(updates jsonb) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  RETURN tallymark.merge_batch(merge_progress_batch.updates, '{taskId}', '');
END
$$;

COMMENT ON FUNCTION tallymark.merge_progress_batch(jsonb) IS
'Merges many updates of any jobs in one transaction. An update that is refused does not affect the others.
Arguments: updates: a JSON array of at most 1000 updates as merge_progress takes them, each with its taskId.
Returns: a JSON array with one result for each update, in order: what merge_progress would return, by the job''s state
after the whole batch (of several updates that start the same job only the last has "resume"); or, for a refused
update, {"status": 400, 404 or 413, "error", "details": [{"field", "problem"}]}.
Errors: TK400 where updates is not an array; TK413 where it has more than 1000 elements. Nothing is merged then.
Callers: tallymark_writer, tallymark_admin.
Locks: the jobs'' rows, in the order of their ids (by their bytes), until the end of the transaction. Batches and
single updates never deadlock with each other as long as each is a transaction of its own; in a transaction with other
calls, keep to that order.
Example: SELECT tallymark.merge_progress_batch(''[{"taskId": "job_1", "updateId": "page 8", "itemsByType": {"issues":
50}}, {"taskId": "job_2", "updateId": "page 1", "itemsByType": {"issues": -1}}]''); -- [{"seq": 3, "status":
"received", ...}, {"status": 400, "error": "Invalid progress payload", "details": [...]}]';

REVOKE ALL ON FUNCTION tallymark.merge_progress_batch(jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.merge_progress_batch(jsonb) TO tallymark_writer, tallymark_admin;
