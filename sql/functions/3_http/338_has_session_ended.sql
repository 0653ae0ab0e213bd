-- Tells whether somebody has signed out of a session of the dashboard.

CREATE OR REPLACE FUNCTION tallymark.has_session_ended(digest bytea) RETURNS boolean
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  RETURN EXISTS (SELECT 1 FROM tallymark.ended_session AS s WHERE s.digest = has_session_ended.digest);
END
$$;

COMMENT ON FUNCTION tallymark.has_session_ended(bytea) IS
'Tells whether somebody has signed out of a session of the dashboard.
Arguments: digest: the SHA-256 of the session''s id.
Returns: true or false; false, too, for a session that is unknown or null.
Callers: tallymark_writer, tallymark_admin.';

REVOKE ALL ON FUNCTION tallymark.has_session_ended(bytea) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.has_session_ended(bytea) TO tallymark_writer, tallymark_admin;
