-- Families: which job is part of which. Series: which jobs are runs of the same crawl, and how each of them went. And
-- what finds jobs by these, and by their attributes.
-- depends: 0022-books

SET LOCAL lock_timeout = '2s';
SET LOCAL search_path = pg_catalog, pg_temp;

-- Both are set when a job is registered, and never change, so a merge leaves their indexes alone.
ALTER TABLE tallymark.job ADD COLUMN IF NOT EXISTS parent text COLLATE "C";
ALTER TABLE tallymark.job ADD COLUMN IF NOT EXISTS series text COLLATE "C";
COMMENT ON COLUMN tallymark.job.parent IS 'The job that it is part of; null where it is part of none. No part of the state.';
COMMENT ON COLUMN tallymark.job.series IS
  'The attribute series: which crawl it is a run of; null where it has none. No part of the state.';

-- Jobs that had such an attribute before it had a meaning; also after a rollback.
UPDATE tallymark.job AS j SET series = j.attributes ->> 'series'
WHERE j.series IS NULL AND jsonb_typeof(j.attributes -> 'series') = 'string'
  AND char_length(j.attributes ->> 'series') BETWEEN 1 AND 255;

-- Partial, so that jobs without attributes, parents and series pay nothing.
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX IF NOT EXISTS job_attributes_idx ON tallymark.job USING gin (attributes jsonb_path_ops)
  WHERE attributes <> '{}';
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX IF NOT EXISTS job_parent_idx ON tallymark.job (parent, id) WHERE parent IS NOT NULL;
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX IF NOT EXISTS job_series_idx ON tallymark.job (series, created_at, id) WHERE series IS NOT NULL;

-- How a run went outlives its events: those that prune_job deletes are in here.
CREATE TABLE IF NOT EXISTS tallymark.job_pace (
  job_id text COLLATE "C" NOT NULL,
  seq bigint NOT NULL,
  at_seconds numeric[] NOT NULL,
  items numeric[] NOT NULL,
  CONSTRAINT job_pace_pkey PRIMARY KEY (job_id)
);

ALTER TABLE tallymark.job_pace OWNER TO tallymark_owner;

COMMENT ON TABLE tallymark.job_pace IS
  'How runs of series went: how many items each had processed at which time since its start. No part of the state.';
COMMENT ON COLUMN tallymark.job_pace.job_id IS 'The job.';
COMMENT ON COLUMN tallymark.job_pace.seq IS 'The number of its last event when this was computed.';
COMMENT ON COLUMN tallymark.job_pace.at_seconds IS
  'Seconds since the job''s start, by its crawlers'' clocks, ascending; at most some 100.';
COMMENT ON COLUMN tallymark.job_pace.items IS 'How many items it had processed at each of them; ascending.';

-- Each gets parameters more, which have defaults, so calls stay as they are; with both there, calls would be ambiguous.
-- squawk-ignore ban-drop-function
DROP FUNCTION IF EXISTS tallymark.list_jobs(text, text, text, text, text, timestamptz, text, text, integer, text);
-- squawk-ignore ban-drop-function
DROP FUNCTION IF EXISTS tallymark.newest_jobs(text, text, text, text, text, text, text, integer, text);
-- squawk-ignore ban-drop-function
DROP FUNCTION IF EXISTS tallymark.create_job(text, jsonb);
-- squawk-ignore ban-drop-function
DROP FUNCTION IF EXISTS tallymark.check_job(jsonb, jsonb);
