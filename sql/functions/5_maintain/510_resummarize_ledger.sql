-- Updates the index that says which pages of the ledger hold which times, after events were pruned.

CREATE OR REPLACE FUNCTION tallymark.resummarize_ledger(first_page bigint DEFAULT 0, max_pages integer DEFAULT 8192)
RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  c_range CONSTANT integer := 32; -- pages_per_range of the index
  -- What one server does. Where the ledger is distributed, its shards there count as one table, one after the other; the
  -- number of a shard has six digits or more. Of the two results of a row, the left one comes first.
  c_pages CONSTANT text := 'SELECT CASE WHEN max(d.pages) > %2$s THEN %2$s END
    FROM (
      SELECT l.pages, brin_desummarize_range(l.index, p.page), brin_summarize_range(l.index, p.page)
      FROM (
        SELECT s.index, s.size, sum(s.size) OVER (ORDER BY s.number)::bigint - s.size AS before,
          sum(s.size) OVER ()::bigint AS pages
        FROM (
          SELECT x.indexrelid::regclass AS index, x.indrelid AS number,
            pg_relation_size(x.indrelid) / current_setting(''block_size'')::bigint AS size
          FROM pg_index AS x JOIN pg_class AS i ON i.oid = x.indexrelid JOIN pg_am AS m ON m.oid = i.relam
            JOIN pg_class AS c ON c.oid = x.indrelid
          WHERE m.amname = ''brin'' AND c.relnamespace = ''tallymark''::regnamespace AND c.relkind = ''r''
            AND c.relname ~ ''^job_event(_[0-9]{6,})?$''
        ) AS s
      ) AS l, generate_series(
        greatest(%1$s - l.before, 0) / %3$s * %3$s, least(%2$s - l.before, l.size) - 1, %3$s) AS p (page)
    ) AS d';
  v_first CONSTANT bigint := greatest(coalesce(resummarize_ledger.first_page, 0), 0);
  v_last CONSTANT bigint := v_first
    + least(greatest(coalesce(resummarize_ledger.max_pages, 8192), c_range), 1048576);
  v_query CONSTANT text := format(c_pages, v_first, v_last, c_range);
  v_is_distributed boolean := false;
  v_next bigint;
BEGIN
  -- The index entry for a range of pages never shrinks by itself: pages that held old events and now hold new ones
  -- would be read in searches for either.
  IF to_regclass('pg_catalog.pg_dist_partition') IS NOT NULL THEN
    EXECUTE 'SELECT EXISTS (SELECT 1 FROM pg_dist_partition AS p WHERE p.logicalrelid = to_regclass(''tallymark.job''))'
    INTO v_is_distributed;
  END IF;
  IF v_is_distributed THEN
    EXECUTE 'SELECT max(nullif(a.result, '''')::bigint) FROM run_command_on_all_nodes($1) AS a WHERE a.success'
    INTO v_next USING v_query;
  ELSE
    EXECUTE v_query INTO v_next;
  END IF;
  RETURN v_next;
END
$$;

COMMENT ON FUNCTION tallymark.resummarize_ledger(bigint, integer) IS
'Updates the index that says which pages of the ledger hold which times, after events were pruned and new ones have
taken their room. Call it alone in a transaction, and again from the page that it returns. Where the jobs are
distributed, each node does so with its part of the ledger; one that does not answer is left out.
Arguments: first_page: the page to begin with, null for the first; max_pages: how many pages (of 8 kB unless the
server was built with another size) to read at most, 32 to 1048576, null for 8192.
Returns: the first page of the next call; null when all is done.
Callers: tallymark_admin.
Locks: none that crawlers or readers wait for; autovacuum of the ledger waits.';

REVOKE ALL ON FUNCTION tallymark.resummarize_ledger(bigint, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.resummarize_ledger(bigint, integer) TO tallymark_admin;
