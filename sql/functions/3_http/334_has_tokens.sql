-- Whether there is a token at all: without one the endpoint says that it is not configured.

CREATE OR REPLACE FUNCTION tallymark.has_tokens() RETURNS boolean
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  RETURN EXISTS (SELECT FROM tallymark.api_token);
END
$$;

COMMENT ON FUNCTION tallymark.has_tokens() IS
'Whether any token was ever made, be it expired or revoked by now.
Returns: true or false.';

REVOKE ALL ON FUNCTION tallymark.has_tokens() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.has_tokens() TO tallymark_writer, tallymark_reader, tallymark_admin;
