-- The areas that crawlers discover, and what operators ask of crawlers.
-- depends: 0002-job-and-ledger

SET LOCAL lock_timeout = '5s';
SET LOCAL search_path = pg_catalog, pg_temp;

-- They get one parameter more, which has a default, so calls stay as they are; with both there, calls would be
-- ambiguous.
-- squawk-ignore ban-drop-function
DROP FUNCTION IF EXISTS tallymark.receive_progress(jsonb, text);
-- squawk-ignore ban-drop-function
DROP FUNCTION IF EXISTS tallymark.receive_job(jsonb);
-- squawk-ignore ban-drop-function
DROP FUNCTION IF EXISTS tallymark.acknowledgement(tallymark.job, bigint, boolean, jsonb, jsonb);
-- squawk-ignore ban-drop-function
DROP FUNCTION IF EXISTS tallymark.acknowledge_duplicate(tallymark.job, text, jsonb);

ALTER TABLE tallymark.job ADD COLUMN IF NOT EXISTS command_seq bigint;
COMMENT ON COLUMN tallymark.job.command_seq IS
  'The number of the event that requested_command stands in; null where nothing is asked.';

COMMENT ON COLUMN tallymark.job_event.event IS
  'Its kind, see event_kind; command_requested; or what the crawler called an event of its own.';
COMMENT ON COLUMN tallymark.job_event.update_key IS
  'The key of the update, see update_key; ! and the number of a command; null for an event of the crawler''s own.';
COMMENT ON COLUMN tallymark.job_event.occurred_at IS
  'When it happened, by the crawler''s clock, for a command by the server''s; that of an update is never later than '
  'recorded_at.';
COMMENT ON COLUMN tallymark.job_event.payload IS
  'What the update brought; null for a command and for an event of the crawler''s own.';
COMMENT ON COLUMN tallymark.job_event.details IS
  'What only the moment of the merge knew, see event_facts; what was asked; or what the crawler''s own event says.';

CREATE TABLE IF NOT EXISTS tallymark.job_area (
  job_id text COLLATE "C" NOT NULL,
  full_path text COLLATE "C" NOT NULL,
  details jsonb NOT NULL,
  clocks jsonb NOT NULL,
  discovered_at timestamptz NOT NULL,
  type text COLLATE "C" GENERATED ALWAYS AS (details ->> 'type') STORED,
  parent_path text COLLATE "C" GENERATED ALWAYS AS (
    coalesce(details ->> 'parentPath', nullif(regexp_replace(full_path, '/?[^/]*$', ''), ''))) STORED,
  CONSTRAINT job_area_pkey PRIMARY KEY (job_id, full_path)
)
-- Room for the next version of its rows, since crawlers discover the same areas again: see tallymark.job.
WITH (fillfactor = 60);

-- For the tree across jobs.
CREATE INDEX IF NOT EXISTS job_area_path_idx ON tallymark.job_area (full_path, job_id);
CREATE INDEX IF NOT EXISTS job_area_parent_idx ON tallymark.job_area (parent_path, full_path);

ALTER TABLE tallymark.job_area OWNER TO tallymark_owner;

COMMENT ON TABLE tallymark.job_area IS
  'The areas (groups, projects and so on) that a job discovered: one row a path, the fold of the areas in its ledger.';
COMMENT ON COLUMN tallymark.job_area.job_id IS 'The job.';
COMMENT ON COLUMN tallymark.job_area.full_path IS 'The path that tells the area from others, such as group/project.';
COMMENT ON COLUMN tallymark.job_area.details IS
  'What the crawlers said of it, under the wire protocol''s names (type, name, externalId, webUrl ...): newest wins.';
COMMENT ON COLUMN tallymark.job_area.clocks IS
  'For each member of details: [microseconds since 1970, key] of the update that gave it.';
COMMENT ON COLUMN tallymark.job_area.discovered_at IS 'When it was first seen, by the crawlers'' clocks.';
COMMENT ON COLUMN tallymark.job_area.type IS 'group, project or what the crawler calls it; from details.';
COMMENT ON COLUMN tallymark.job_area.parent_path IS
  'The path of the area it belongs to: as the crawler gave it, else full_path without its last part; null at the top.';

-- An update of a batch on its way: only ever in memory.
DO $$
BEGIN
  IF pg_catalog.to_regtype('tallymark.batch_update') IS NULL THEN
    CREATE TYPE tallymark.batch_update AS (
      number bigint,
      job_id text,
      at timestamptz,
      key text,
      payload jsonb,
      warnings jsonb,
      refusal jsonb,
      seq bigint
    );
  END IF;
END
$$;

ALTER TYPE tallymark.batch_update OWNER TO tallymark_owner;
COMMENT ON TYPE tallymark.batch_update IS
  'An update of a batch on its way: its place in the batch, what judging made of it, and the number of its event.';
