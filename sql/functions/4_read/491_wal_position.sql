-- Tells how far a server is in the write-ahead log, to compare a replica with its primary.

CREATE OR REPLACE FUNCTION tallymark.wal_position(OUT replica boolean, OUT written numeric)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  wal_position.replica := pg_is_in_recovery();
  wal_position.written := pg_wal_lsn_diff(
    CASE WHEN wal_position.replica THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END, '0/0');
END
$$;

COMMENT ON FUNCTION tallymark.wal_position() IS
'Tells how far this server is in the write-ahead log. A replica that gives no less than its primary gave before has
everything that the primary had then.
Returns: replica: whether this server is a replica; written: in bytes, what a primary has written, or what can be read
of it on a replica.
Callers: tallymark_reader, tallymark_admin.';

REVOKE ALL ON FUNCTION tallymark.wal_position() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.wal_position() TO tallymark_reader, tallymark_admin;
