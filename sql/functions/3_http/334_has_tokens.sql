-- Tells whether there is any token: without one the endpoint answers that it is not configured.

CREATE OR REPLACE FUNCTION tallymark.has_tokens() RETURNS boolean
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  RETURN EXISTS (SELECT 1 FROM tallymark.api_token);
END
$$;

COMMENT ON FUNCTION tallymark.has_tokens() IS
'Tells whether any token was ever created, expired and revoked ones included.
Returns: true or false.
Callers: tallymark_writer, tallymark_reader, tallymark_admin.';

REVOKE ALL ON FUNCTION tallymark.has_tokens() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.has_tokens() TO tallymark_writer, tallymark_reader, tallymark_admin;
