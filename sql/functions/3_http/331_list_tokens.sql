-- All tokens, without what would let anybody in.

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
'All tokens in the order of their names, also those that are expired or revoked; neither they nor their digests.
Returns: rows of name, scopes, job_prefix, created_at, expires_at, revoked_at.';

REVOKE ALL ON FUNCTION tallymark.list_tokens() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.list_tokens() TO tallymark_admin;
