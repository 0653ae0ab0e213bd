-- Reads the items that a job has counted by their keys as they are stored, for an archive.

CREATE OR REPLACE FUNCTION tallymark.item_page(
  job_id text, after_type text DEFAULT '', after_digest bytea DEFAULT '', max_items integer DEFAULT 1000
) RETURNS TABLE (type text, key_digest bytea, seq bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF NOT EXISTS (SELECT 1 FROM tallymark.job AS j WHERE j.id = item_page.job_id) THEN
    PERFORM tallymark.refuse_unknown_job(item_page.job_id);
  END IF;
  RETURN QUERY
  SELECT i.type, i.key_digest, i.seq FROM tallymark.job_item AS i
  WHERE i.job_id = item_page.job_id
    AND (i.type, i.key_digest) > (item_page.after_type COLLATE "C", item_page.after_digest)
  ORDER BY i.type, i.key_digest LIMIT least(greatest(coalesce(item_page.max_items, 1000), 0), 100000);
END
$$;

COMMENT ON FUNCTION tallymark.item_page(text, text, bytea, integer) IS
'Reads the items that a job has counted by their keys as they are stored, a page at a time.
Arguments: job_id: a registered job; after_type, after_digest: type and digest of the last item already seen, empty to
begin with the first; max_items: how many at most, 0 to 100000, null for 1000.
Returns: rows of type, key_digest (see item_digest) and seq (the number of the first event whose update had the key), in
the order of type and digest.
Errors: TK404 where there is no such job; TK400 where job_id is null, empty or too long.
Callers: tallymark_admin.';

REVOKE ALL ON FUNCTION tallymark.item_page(text, text, bytea, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.item_page(text, text, bytea, integer) TO tallymark_admin;
