-- Gives the size of the database.

CREATE OR REPLACE FUNCTION tallymark.database_figures() RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  RETURN jsonb_build_object(
    'version', current_setting('server_version'),
    -- The owner of the functions may lack the privilege for this.
    'bytes', CASE WHEN has_database_privilege(current_database(), 'CONNECT')
      THEN pg_database_size(current_database()) END,
    'startedAt', tallymark.iso_timestamp(pg_postmaster_start_time()),
    'replica', pg_is_in_recovery(),
    'tables', (
      SELECT coalesce(jsonb_agg(jsonb_build_object('table', c.relname,
        -- Counted as rows are written; a replica, and a server after a crash, only knows the last ANALYZE.
        'rows', coalesce(nullif(pg_stat_get_live_tuples(c.oid), 0), greatest(c.reltuples::bigint, 0)),
        'bytes', pg_table_size(c.oid), 'indexBytes', pg_indexes_size(c.oid),
        'deadRows', pg_stat_get_dead_tuples(c.oid)) ORDER BY c.relname), '[]')
      FROM pg_class AS c
      WHERE c.relnamespace = 'tallymark'::regnamespace AND c.relkind = 'r'));
END
$$;

COMMENT ON FUNCTION tallymark.database_figures() IS
'Gives the size of the database and of the tables of tallymark.
Returns: {"version": that of PostgreSQL, "bytes": of the whole database, null where the functions'' owner may not know
it, "startedAt": when the server was started, "replica": whether it is a replica, "tables": [{"table", "rows" and
"deadRows" (both are estimates), "bytes": without indexes, "indexBytes"}], in the order of their names}.
Callers: tallymark_reader, tallymark_admin.
Cost: asks the file system for the size of each file of the database.';

REVOKE ALL ON FUNCTION tallymark.database_figures() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.database_figures() TO tallymark_reader, tallymark_admin;
