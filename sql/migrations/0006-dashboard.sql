-- What the dashboard reads by, and the table of failed sign-ins.
-- depends: 0005-reading

SET LOCAL lock_timeout = '5s';
SET LOCAL search_path = pg_catalog, pg_temp;

-- They give a column more, or get one parameter more, which has a default, so calls stay as they are; with both there,
-- calls would be ambiguous.
-- squawk-ignore ban-drop-function
DROP FUNCTION IF EXISTS tallymark.error_groups(timestamptz, integer, text);
-- squawk-ignore ban-drop-function
DROP FUNCTION IF EXISTS tallymark.timeline(text, bigint, integer, text);
-- squawk-ignore ban-drop-function
DROP FUNCTION IF EXISTS tallymark.timeline_page(text, bigint, integer, text);

-- The newest jobs, of all and of a status. A job is registered once and its status changes seldom, so merges stay HOT
-- updates. Made in the migration's own transaction, which keeps writers waiting for as long as the tables are read.
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX IF NOT EXISTS job_created_idx ON tallymark.job (created_at, id);
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX IF NOT EXISTS job_status_created_idx ON tallymark.job (status, created_at, id);
-- The jobs that failed last.
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX IF NOT EXISTS job_failed_idx ON tallymark.job (finished_at, id) WHERE status = 'failed';
-- The events of the last minutes. The ledger is written in the order of this time, so that one entry for each 32 pages
-- tells where they are, and an event costs nothing but where a new range begins.
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX IF NOT EXISTS job_event_recorded_idx ON tallymark.job_event USING brin (recorded_at)
  WITH (pages_per_range = 32, autosummarize = on);

-- Who failed to sign in to the dashboard. They belong to no job: where jobs are distributed, this table is a reference
-- table.
CREATE TABLE IF NOT EXISTS tallymark.sign_in (
  source text COLLATE "C" NOT NULL,
  failures bigint NOT NULL,
  last_failed_at timestamptz NOT NULL,
  CONSTRAINT sign_in_pkey PRIMARY KEY (source)
);
-- For finding those that count for nothing any more.
CREATE INDEX IF NOT EXISTS sign_in_last_failed_idx ON tallymark.sign_in (last_failed_at);

ALTER TABLE tallymark.sign_in OWNER TO tallymark_owner;

COMMENT ON TABLE tallymark.sign_in IS
  'Failed attempts to sign in to the dashboard: one row for each place that they came from, kept for some 15 minutes.';
COMMENT ON COLUMN tallymark.sign_in.source IS 'Where they came from, such as an address.';
COMMENT ON COLUMN tallymark.sign_in.failures IS 'How many there were, each within 15 minutes of the one before.';
COMMENT ON COLUMN tallymark.sign_in.last_failed_at IS 'When the last one was.';
