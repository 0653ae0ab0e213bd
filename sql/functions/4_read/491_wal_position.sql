-- How far a server is: what the replica has of what its primary wrote.

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
'How far this server is in its write-ahead log.
Returns: replica, whether it is one; written, in bytes, what it has written, or as a replica what can be read of it.
Asked of a primary and then of its replica, the replica has all that the primary had if it gives no less.';

REVOKE ALL ON FUNCTION tallymark.wal_position() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.wal_position() TO tallymark_reader, tallymark_admin;
