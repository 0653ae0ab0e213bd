-- Gives the status of an update for what the original's table of jobs says.

CREATE OR REPLACE FUNCTION tallymark.original_status(status text) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  v_status CONSTANT text := lower(btrim(original_status.status) COLLATE "C");
BEGIN
  RETURN CASE
    WHEN v_status = 'new_areas_discovered' THEN 'processing' -- an update with that status must give areas
    WHEN tallymark.job_status(v_status) IS NOT NULL THEN v_status
    ELSE (
      SELECT u.status
      FROM unnest('{processing,waiting,completed,failed,paused,cancelled,credential_expiry,'
        'credential_renewal,credential_resumed}'::text[]) AS u (status)
      WHERE tallymark.job_status(u.status) = v_status)
  END;
END
$$;

COMMENT ON FUNCTION tallymark.original_status(text) IS
'Gives the status of an update that makes a job what the original''s table says of it.
Arguments: status: the status of a job or of an update, in any letter case.
Returns: the status of an update; null for queued, which no update stands for, for an unknown status, and for null.';

REVOKE ALL ON FUNCTION tallymark.original_status(text) FROM PUBLIC;
