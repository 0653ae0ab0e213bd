-- The tokens by which callers of the endpoint are known.
-- depends: 0003-areas-and-commands
--
-- They belong to no job: where jobs are distributed, this table is a reference table.

SET LOCAL lock_timeout = '5s';
SET LOCAL search_path = pg_catalog, pg_temp;

CREATE TABLE IF NOT EXISTS tallymark.api_token (
  name text COLLATE "C" NOT NULL,
  digest bytea NOT NULL,
  scopes text[] NOT NULL,
  job_prefix text COLLATE "C" NOT NULL DEFAULT '',
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  expires_at timestamptz,
  revoked_at timestamptz,
  CONSTRAINT api_token_pkey PRIMARY KEY (name),
  CONSTRAINT api_token_digest UNIQUE (digest)
);

ALTER TABLE tallymark.api_token OWNER TO tallymark_owner;

COMMENT ON TABLE tallymark.api_token IS 'The tokens that callers of the endpoint may show; their digests only.';
COMMENT ON COLUMN tallymark.api_token.name IS 'What people call it; a revoked token keeps its name.';
COMMENT ON COLUMN tallymark.api_token.digest IS 'The SHA-256 of the token, which itself is stored nowhere.';
COMMENT ON COLUMN tallymark.api_token.scopes IS 'What it opens: write, read, admin; admin implies the others.';
COMMENT ON COLUMN tallymark.api_token.job_prefix IS
  'It is for jobs whose ids begin with this; the empty one is all jobs.';
COMMENT ON COLUMN tallymark.api_token.created_at IS 'When it was made.';
COMMENT ON COLUMN tallymark.api_token.expires_at IS 'From when on it opens nothing any more; null is never.';
COMMENT ON COLUMN tallymark.api_token.revoked_at IS 'When it was revoked; null is not.';
