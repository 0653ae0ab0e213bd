-- The one list of the statuses that the wire protocol knows. Letters are lowered as ASCII, because in a Turkish
-- database FAILED would not become failed. PL/pgSQL, so that it is not inlined: setting up a CASE of eleven arms in each
-- transaction would cost more than the call.

CREATE OR REPLACE FUNCTION tallymark.job_status(update_status text) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  RETURN CASE lower(job_status.update_status COLLATE "C")
    WHEN 'processing' THEN 'running'
    WHEN 'started' THEN 'running'
    WHEN 'completed' THEN 'finished'
    WHEN 'failed' THEN 'failed'
    WHEN 'paused' THEN 'paused'
    WHEN 'waiting' THEN 'waiting'
    WHEN 'cancelled' THEN 'cancelled'
    WHEN 'new_areas_discovered' THEN 'running'
    WHEN 'credential_expiry' THEN 'credential_expired'
    WHEN 'credential_renewal' THEN 'waiting_credential_renewal'
    WHEN 'credential_resumed' THEN 'credential_renewed'
  END;
END
$$;

COMMENT ON FUNCTION tallymark.job_status(text) IS
'Gives the status of a job after an update with the given status. Pure: it reads no table.
Arguments: update_status: the status of an update, in any letter case.
Returns: running (for started, processing and new_areas_discovered), finished (completed), failed, paused, waiting,
cancelled, credential_expired (credential_expiry), waiting_credential_renewal (credential_renewal) or credential_renewed
(credential_resumed); null for a status that the wire protocol does not know, and for null.
Callers: tallymark_reader, tallymark_admin.';

REVOKE ALL ON FUNCTION tallymark.job_status(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.job_status(text) TO tallymark_reader, tallymark_admin;
