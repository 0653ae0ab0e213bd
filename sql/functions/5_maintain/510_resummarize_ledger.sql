-- Updates the index that says which pages of the ledger hold which times, after events were pruned.

CREATE OR REPLACE FUNCTION tallymark.resummarize_ledger(first_page bigint DEFAULT 0, max_pages integer DEFAULT 8192)
RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  c_range CONSTANT integer := 32; -- pages_per_range of the index
  v_index CONSTANT regclass := 'tallymark.job_event_recorded_idx';
  v_pages CONSTANT bigint := pg_relation_size('tallymark.job_event') / current_setting('block_size')::bigint;
  v_last CONSTANT bigint := least(v_pages, greatest(resummarize_ledger.first_page, 0)
    + least(greatest(coalesce(resummarize_ledger.max_pages, 8192), c_range), 1048576));
  v_page bigint := greatest(resummarize_ledger.first_page, 0) / c_range * c_range;
BEGIN
  -- The index entry for a range of pages never shrinks by itself: pages that held old events and now hold new ones
  -- would be read in searches for either.
  WHILE v_page < v_last LOOP
    PERFORM brin_desummarize_range(v_index, v_page);
    PERFORM brin_summarize_range(v_index, v_page);
    v_page := v_page + c_range;
  END LOOP;
  RETURN CASE WHEN v_page < v_pages THEN v_page END;
END
$$;

COMMENT ON FUNCTION tallymark.resummarize_ledger(bigint, integer) IS
'Updates the index that says which pages of the ledger hold which times, after events were pruned and new ones have
taken their room. Call it alone in a transaction, and again from the page that it returns.
Arguments: first_page: the page to begin with, null for the first; max_pages: how many pages (of 8 kB unless the
server was built with another size) to read at most, 32 to 1048576, null for 8192.
Returns: the first page of the next call; null when all is done.
Callers: tallymark_admin.
Locks: none that crawlers or readers wait for; autovacuum of the ledger waits.';

REVOKE ALL ON FUNCTION tallymark.resummarize_ledger(bigint, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.resummarize_ledger(bigint, integer) TO tallymark_admin;
