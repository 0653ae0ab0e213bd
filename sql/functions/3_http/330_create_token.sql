-- Creates a token. It is generated here, so that it is in no statement, and so in no server's log.

CREATE OR REPLACE FUNCTION tallymark.create_token(
  name text, scopes text[], job_prefix text DEFAULT '', expires_at timestamptz DEFAULT NULL
) RETURNS text
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  c_scopes CONSTANT text[] := '{write,read,admin}'::text[];
  -- Two UUIDs are 244 random bits; the prefix tells people and secret scanners what kind of secret this is.
  v_token CONSTANT text := 'tallymark_'
    || replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', '');
  v_scopes CONSTANT text[] := ARRAY(
    SELECT s.scope FROM unnest(c_scopes) AS s (scope) WHERE s.scope = ANY (create_token.scopes));
  v_problems jsonb;
BEGIN
  SELECT jsonb_agg(jsonb_build_object('field', p.field, 'problem', p.problem)) INTO v_problems
  FROM (VALUES
    ('name', 'must be 1 to 100 characters, none of them a control character',
      create_token.name IS NULL OR char_length(create_token.name) NOT BETWEEN 1 AND 100
        OR create_token.name ~ '[[:cntrl:]]'),
    ('scopes', 'must be one or more of ' || array_to_string(c_scopes, ', '),
      coalesce(cardinality(create_token.scopes), 0) = 0 OR NOT create_token.scopes <@ c_scopes),
    ('jobPrefix', 'must be at most 255 characters', char_length(create_token.job_prefix) > 255),
    ('expiresAt', 'must be in the future and before the year 10000',
      create_token.expires_at <= statement_timestamp() OR create_token.expires_at >= '10000-01-01 00:00:00+00')
    ) AS p (field, problem, is_wrong)
  WHERE p.is_wrong;
  IF v_problems IS NOT NULL THEN
    RAISE EXCEPTION USING ERRCODE = 'TK400', MESSAGE = 'Invalid token', DETAIL = v_problems::text,
      HINT = 'Correct the named fields. No token was created.';
  END IF;
  INSERT INTO tallymark.api_token (name, digest, scopes, job_prefix, expires_at)
  VALUES (
    create_token.name,
    sha256(convert_to(v_token, 'UTF8')),
    v_scopes,
    coalesce(create_token.job_prefix, ''),
    create_token.expires_at)
  ON CONFLICT ON CONSTRAINT api_token_pkey DO NOTHING;
  IF NOT FOUND THEN
    RAISE EXCEPTION USING ERRCODE = 'TK409', MESSAGE = 'Token name is taken',
      DETAIL = format('There is a token %s already.', quote_literal(create_token.name)),
      HINT = 'Choose another name. A revoked token keeps its name.';
  END IF;
  RETURN v_token;
END
$$;

COMMENT ON FUNCTION tallymark.create_token(text, text[], text, timestamptz) IS
'Creates a token by which the HTTP endpoint knows a caller. Only its digest is stored, so the token cannot be shown
again.
Arguments: name: 1 to 100 characters, without control characters; scopes: one or more of write, read, admin (which
implies the others); job_prefix: the token is for jobs whose ids begin with this, at most 255 characters, empty or
null for all jobs; expires_at: from when on the token is no longer accepted, in the future and before the year 10000,
null for never.
Returns: the token: tallymark_ and 64 hexadecimal digits.
Errors: TK400 where an argument is not valid, with all problems in DETAIL as a JSON array of {"field", "problem"};
TK409 where the name is taken, also by a revoked token.
Callers: tallymark_admin.';

REVOKE ALL ON FUNCTION tallymark.create_token(text, text[], text, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.create_token(text, text[], text, timestamptz) TO tallymark_admin;
