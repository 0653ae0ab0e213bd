-- Lists all tokens, without anything that could be used to sign in.

CREATE OR REPLACE FUNCTION tallymark.list_tokens()
RETURNS TABLE (
  name text, scopes text[], job_prefix text, created_at timestamptz, expires_at timestamptz, revoked_at timestamptz
)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  RETURN QUERY
  SELECT t.name, t.scopes, t.job_prefix, t.created_at, t.expires_at, t.revoked_at
  FROM tallymark.api_token AS t
  ORDER BY t.name;
END
$$;

COMMENT ON FUNCTION tallymark.list_tokens() IS
'Lists all tokens in the order of their names, expired and revoked ones included. Neither the tokens nor their digests
are shown.
Returns: rows of name, scopes, job_prefix (empty for all jobs), created_at, expires_at (null for never), revoked_at
(null where it was not revoked).
Callers: tallymark_admin.';

REVOKE ALL ON FUNCTION tallymark.list_tokens() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.list_tokens() TO tallymark_admin;
