-- Revokes a token.

CREATE OR REPLACE FUNCTION tallymark.revoke_token(name text) RETURNS timestamptz
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  v_now CONSTANT timestamptz := clock_timestamp();
  v_revoked_at timestamptz;
BEGIN
  UPDATE tallymark.api_token AS t SET revoked_at = coalesce(t.revoked_at, v_now)
  WHERE t.name = revoke_token.name
  RETURNING t.revoked_at INTO v_revoked_at;
  IF NOT FOUND THEN
    RAISE EXCEPTION USING ERRCODE = 'TK404', MESSAGE = 'Token not found',
      DETAIL = format('There is no token %s.', quote_nullable(revoke_token.name)),
      HINT = 'List the names with tallymark token list, or tallymark.list_tokens().';
  END IF;
  RETURN v_revoked_at;
END
$$;

COMMENT ON FUNCTION tallymark.revoke_token(text) IS
'Revokes a token. Revoking it again changes nothing. An endpoint that has just checked the token may accept it for as
long as it caches tokens.
Arguments: name: the name under which the token was created.
Returns: when the token was revoked for the first time.
Errors: TK404 where there is no such token.
Callers: tallymark_admin.';

REVOKE ALL ON FUNCTION tallymark.revoke_token(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.revoke_token(text) TO tallymark_admin;
