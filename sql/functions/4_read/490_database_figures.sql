-- Gives the size of the database.

CREATE OR REPLACE FUNCTION tallymark.database_figures() RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  -- What one server has. The owner of the functions may lack the privilege for the size of the database.
  -- Rows are counted as they are written; a replica, and a server after a crash, only knows the last ANALYZE.
  c_figures CONSTANT text := 'SELECT jsonb_build_object(
      ''bytes'', CASE WHEN has_database_privilege(current_database(), ''CONNECT'')
        THEN pg_database_size(current_database()) END,
      ''tables'', coalesce(jsonb_agg(jsonb_build_object(''table'', t.name, ''copied'', t.copied,
        ''rows'', coalesce(nullif(pg_stat_get_live_tuples(c.oid), 0), greatest(c.reltuples::bigint, 0)),
        ''bytes'', pg_table_size(c.oid), ''indexBytes'', pg_indexes_size(c.oid),
        ''deadRows'', pg_stat_get_dead_tuples(c.oid))), ''[]''))
    FROM (%s) AS t JOIN pg_class AS c ON c.oid = t.id';
  c_tables CONSTANT text := 'SELECT r.oid AS id, r.relname::text AS name, false AS copied FROM pg_class AS r
    WHERE r.relnamespace = ''tallymark''::regnamespace AND r.relkind = ''r''';
  -- Where the tables are distributed: the shards that a server has, and tables that are not distributed yet. The number
  -- of a shard has six digits or more. A table of which each server has a copy has one shard.
  c_shards CONSTANT text := ' AND r.relname !~ ''_[0-9]{6,}$''
      AND NOT EXISTS (SELECT 1 FROM pg_dist_partition AS p WHERE p.logicalrelid = r.oid)
    UNION ALL
    SELECT to_regclass(format(''tallymark.%I'', r.relname || ''_'' || s.shardid))::oid, r.relname::text,
      p.partmethod = ''n''
    FROM pg_dist_placement AS l JOIN pg_dist_shard AS s ON s.shardid = l.shardid
      JOIN pg_dist_partition AS p ON p.logicalrelid = s.logicalrelid JOIN pg_class AS r ON r.oid = s.logicalrelid
    WHERE r.relnamespace = ''tallymark''::regnamespace AND l.groupid = (SELECT g.groupid FROM pg_dist_local_group AS g)';
  v_is_distributed boolean := false;
  v_servers jsonb;
  v_tables jsonb;
BEGIN
  IF to_regclass('pg_catalog.pg_dist_partition') IS NOT NULL THEN
    EXECUTE 'SELECT EXISTS (SELECT 1 FROM pg_dist_partition AS p WHERE p.logicalrelid = to_regclass(''tallymark.job''))'
    INTO v_is_distributed;
  END IF;
  IF v_is_distributed THEN
    EXECUTE 'SELECT jsonb_agg(jsonb_build_object(''node'', n.nodename || '':'' || n.nodeport,
        ''figures'', CASE WHEN a.success THEN a.result::jsonb END) ORDER BY n.groupid)
      FROM pg_dist_node AS n LEFT JOIN run_command_on_all_nodes($1) AS a ON a.nodeid = n.nodeid
      WHERE n.noderole = ''primary'''
    INTO v_servers USING format(c_figures, c_tables || c_shards);
  ELSE
    EXECUTE format('SELECT jsonb_build_array(jsonb_build_object(''figures'', (%s)))', format(c_figures, c_tables))
    INTO v_servers;
  END IF;

  -- A sum that lacks a server is none. Of copies that each server has, the first one counts.
  SELECT coalesce(jsonb_agg(jsonb_build_object('table', c.relname, 'rows', f.sums[1], 'bytes', f.sums[2],
    'indexBytes', f.sums[3], 'deadRows', f.sums[4]) ORDER BY c.relname), '[]')
  INTO v_tables
  FROM pg_class AS c
  LEFT JOIN (
    SELECT t.name, CASE WHEN t.copied OR t.is_complete
      THEN ARRAY[sum(t.rows), sum(t.bytes), sum(t.index_bytes), sum(t.dead_rows)]::bigint[] END AS sums
    FROM (
      SELECT p.figures ->> 'table' AS name, (p.figures -> 'copied')::boolean AS copied, s.number,
        (p.figures -> 'rows')::bigint AS rows, (p.figures -> 'bytes')::bigint AS bytes,
        (p.figures -> 'indexBytes')::bigint AS index_bytes, (p.figures -> 'deadRows')::bigint AS dead_rows,
        min(s.number) OVER (PARTITION BY p.figures -> 'table') AS first_number,
        NOT v_servers @> '[{"figures": null}]' AS is_complete
      FROM jsonb_array_elements(v_servers) WITH ORDINALITY AS s (server, number),
        jsonb_array_elements(s.server #> '{figures,tables}') AS p (figures)
    ) AS t
    WHERE NOT t.copied OR t.number = t.first_number
    GROUP BY t.name, t.copied, t.is_complete
  ) AS f ON f.name = c.relname
  WHERE c.relnamespace = 'tallymark'::regnamespace AND c.relkind = 'r' AND c.relname !~ '_[0-9]{6,}$';
  RETURN jsonb_build_object(
    'version', current_setting('server_version'),
    'bytes', (
      SELECT CASE WHEN count(*) = count(s.server #>> '{figures,bytes}')
        THEN sum((s.server #>> '{figures,bytes}')::bigint)::bigint END
      FROM jsonb_array_elements(v_servers) AS s (server)),
    'startedAt', tallymark.iso_timestamp(pg_postmaster_start_time()),
    'replica', pg_is_in_recovery(),
    'tables', v_tables)
    || CASE WHEN v_is_distributed THEN jsonb_build_object('nodes', (
      SELECT jsonb_agg(jsonb_build_object('node', s.server -> 'node', 'bytes', s.server #> '{figures,bytes}',
        'answers', jsonb_typeof(s.server -> 'figures') = 'object') ORDER BY s.number)
      FROM jsonb_array_elements(v_servers) WITH ORDINALITY AS s (server, number))) ELSE '{}' END;
END
$$;

COMMENT ON FUNCTION tallymark.database_figures() IS
'Gives the size of the database and of the tables of tallymark. Where the jobs are distributed, these are sums over all
nodes, and null where a node does not answer; a table of which each node has a copy is counted once.
Returns: {"version": that of PostgreSQL, "bytes": of the whole database, null where the functions'' owner may not know
it, "startedAt": when the server was started, "replica": whether it is a replica, "tables": [{"table", "rows" and
"deadRows" (both are estimates), "bytes": without indexes, "indexBytes"}], in the order of their names}. Where the jobs
are distributed, also "nodes": [{"node": its name and port, "answers": whether it does, "bytes": of its database}], the
coordinator first.
Callers: tallymark_reader, tallymark_admin.
Cost: asks the file system for the size of each file of the database, on each node.';

REVOKE ALL ON FUNCTION tallymark.database_figures() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.database_figures() TO tallymark_reader, tallymark_admin;
