-- Tells the endpoint, which knows only the digest of a token, what the token allows.

CREATE OR REPLACE FUNCTION tallymark.check_token(digest bytea) RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  v_now CONSTANT timestamptz := statement_timestamp();
BEGIN
  RETURN (
    SELECT jsonb_build_object(
      'name', t.name,
      'scopes', to_jsonb(t.scopes),
      'jobPrefix', t.job_prefix,
      -- Not the time itself, because the endpoint's clock may differ.
      'secondsLeft', extract(epoch FROM t.expires_at - v_now))
    FROM tallymark.api_token AS t
    WHERE t.digest = check_token.digest AND t.revoked_at IS NULL
      AND (t.expires_at IS NULL OR t.expires_at > v_now));
END
$$;

COMMENT ON FUNCTION tallymark.check_token(bytea) IS
'Tells what a token allows.
Arguments: digest: the SHA-256 of the token.
Returns: {"name", "scopes": [write, read, admin], "jobPrefix", "secondsLeft": until it expires, null for never}; null
where there is no such token, or it has expired or was revoked.
Callers: tallymark_writer, tallymark_reader, tallymark_admin.';

REVOKE ALL ON FUNCTION tallymark.check_token(bytea) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.check_token(bytea) TO tallymark_writer, tallymark_reader, tallymark_admin;
