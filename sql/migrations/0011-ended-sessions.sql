-- The sessions of the dashboard that somebody has signed out of: a copy of their cookie must open nothing.
-- depends: 0010-shared-parts

SET LOCAL lock_timeout = '2s';
SET LOCAL search_path = pg_catalog, pg_temp;

-- They belong to no job: where jobs are distributed, this table is a reference table.
CREATE TABLE IF NOT EXISTS tallymark.ended_session (
  digest bytea NOT NULL,
  kept_until timestamptz NOT NULL,
  CONSTRAINT ended_session_pkey PRIMARY KEY (digest)
);
-- For finding those that would have ended by themselves.
CREATE INDEX IF NOT EXISTS ended_session_kept_until_idx ON tallymark.ended_session (kept_until);

ALTER TABLE tallymark.ended_session OWNER TO tallymark_owner;

COMMENT ON TABLE tallymark.ended_session IS
  'Sessions of the dashboard that somebody has signed out of: one row for each, kept until its cookie is out of date.';
COMMENT ON COLUMN tallymark.ended_session.digest IS 'The SHA-256 of the session''s id.';
COMMENT ON COLUMN tallymark.ended_session.kept_until IS 'From when on the cookie is out of date.';
