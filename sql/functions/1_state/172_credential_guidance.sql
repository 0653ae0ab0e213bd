-- Tells an admin what to do about a job's credentials.

CREATE OR REPLACE FUNCTION tallymark.credential_guidance(update_status text, credential jsonb) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  v_status CONSTANT text := lower(credential_guidance.update_status COLLATE "C");
  v_own CONSTANT jsonb := coalesce(
    jsonb_path_query_array(credential_guidance.credential, '$.adminGuidance[*] ? (@.type() == "string")'), '[]');
  v_whose CONSTANT text := coalesce(
    ' of ' || nullif(concat_ws(' at ', credential_guidance.credential ->> 'providerId',
      credential_guidance.credential ->> 'instanceType'), ''), '');
BEGIN
  -- The crawler's own lines come first: it knows the provider.
  RETURN v_own || CASE
    WHEN v_status IN ('credential_expiry', 'credential_expired') THEN jsonb_build_array(
      format('The credentials%s have expired or were refused; the crawler cannot continue with them.', v_whose),
      'Renew them at the provider, with the same scopes, and store them where the crawler reads them.',
      'Nothing is lost: the crawler continues where it stopped.')
    WHEN v_status IN ('credential_renewal', 'waiting_credential_renewal') THEN jsonb_build_array(
      format('The crawler is waiting for new credentials%s.', v_whose),
      'It continues by itself as soon as it has them.')
    WHEN v_status IN ('credential_resumed', 'credential_renewed') THEN jsonb_build_array(
      format('The new credentials%s work, and the crawler continues. There is nothing to do.', v_whose))
  END;
END
$$;

COMMENT ON FUNCTION tallymark.credential_guidance(text, jsonb) IS
'Tells an admin what to do about a job''s credentials.
Arguments: update_status: credential_expiry, credential_renewal or credential_resumed, in any letter case, or the job
status that job_status makes of it; credential: the update''s credentialStatus {"providerId", "instanceType",
"adminGuidance": [texts], ...}, or null.
Returns: an array of lines: the crawler''s own adminGuidance, then ours; null for any other status.';

REVOKE ALL ON FUNCTION tallymark.credential_guidance(text, jsonb) FROM PUBLIC;
