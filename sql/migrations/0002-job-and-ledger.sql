-- The job (one row: the merged state) and its ledger (one row an event).
-- depends: 0001-roles-and-schema
--
-- Every key begins with the job's id, and every job id has one type, so that the tables can be distributed by it. The
-- ledger has no foreign key: only functions write here, they hold the job's row lock when they do, and the check would
-- cost each update a look-up of the row that it has locked already.

SET LOCAL lock_timeout = '5s';

CREATE TABLE IF NOT EXISTS tallymark.job (
  id text COLLATE "C" NOT NULL,
  status text NOT NULL DEFAULT 'queued',
  progress jsonb NOT NULL DEFAULT '{}',
  facets jsonb NOT NULL DEFAULT '{}',
  workers jsonb,
  newest_at timestamptz,
  newest_key text COLLATE "C",
  newest_fields text[] NOT NULL DEFAULT '{}',
  clocks jsonb NOT NULL DEFAULT '{}',
  resume_state jsonb,
  last_seq bigint NOT NULL DEFAULT 0,
  requested_command text,
  attributes jsonb NOT NULL DEFAULT '{}',
  started_at timestamptz,
  finished_at timestamptz,
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT job_pkey PRIMARY KEY (id)
)
-- Room on each page for the next version of its rows: without it a merge could not stay on the page (a HOT update).
WITH (fillfactor = 60);

CREATE TABLE IF NOT EXISTS tallymark.job_event (
  job_id text COLLATE "C" NOT NULL,
  seq bigint NOT NULL,
  event text NOT NULL,
  update_key text COLLATE "C",
  occurred_at timestamptz NOT NULL,
  recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  payload jsonb,
  details jsonb,
  CONSTRAINT job_event_pkey PRIMARY KEY (job_id, seq),
  CONSTRAINT job_event_update_key UNIQUE (job_id, update_key)
);

-- On columns that most merges leave as they are; an index on progress or updated_at would end HOT updates.
CREATE INDEX IF NOT EXISTS job_facets_idx ON tallymark.job USING gin (facets jsonb_path_ops);
CREATE INDEX IF NOT EXISTS job_status_idx ON tallymark.job (status, id);

ALTER TABLE tallymark.job OWNER TO tallymark_owner;
ALTER TABLE tallymark.job_event OWNER TO tallymark_owner;

COMMENT ON TABLE tallymark.job IS 'One row a job: the merged state, which is the fold of the job''s ledger.';
COMMENT ON COLUMN tallymark.job.id IS 'The taskId of the wire protocol, 1 to 255 characters.';
COMMENT ON COLUMN tallymark.job.status IS
  'queued until somebody reports, then what job_status makes of the newest update.';
COMMENT ON COLUMN tallymark.job.progress IS 'The merged state under the original''s names, without the timeline.';
COMMENT ON COLUMN tallymark.job.facets IS
  'What jobs are searched by: stage, operationType, currentDataType, itemTypes.';
COMMENT ON COLUMN tallymark.job.workers IS
  'Each worker''s highest running totals, {"worker": {"processedItems", "itemsByType"}}; see count_by_worker.';
COMMENT ON COLUMN tallymark.job.newest_at IS 'When the newest update happened, by its crawler''s clock.';
COMMENT ON COLUMN tallymark.job.newest_key IS 'The key of the newest update.';
COMMENT ON COLUMN tallymark.job.newest_fields IS 'Which newest-wins fields the newest update gave.';
COMMENT ON COLUMN tallymark.job.clocks IS
  'For each newest-wins field that an older update gave: [microseconds since 1970, key] of that update.';
COMMENT ON COLUMN tallymark.job.resume_state IS 'The newest resume state a crawler gave; null since the job completed.';
COMMENT ON COLUMN tallymark.job.last_seq IS 'The number of the job''s last event.';
COMMENT ON COLUMN tallymark.job.requested_command IS
  'What an operator asks of the crawler: pause, cancel, resume; or null.';
COMMENT ON COLUMN tallymark.job.attributes IS 'The registrar''s own; "counting" is the default of the job''s updates.';
COMMENT ON COLUMN tallymark.job.started_at IS 'The earliest report, by the crawlers'' clocks.';
COMMENT ON COLUMN tallymark.job.finished_at IS 'When the job ended, while it is finished, failed or cancelled.';
COMMENT ON COLUMN tallymark.job.updated_at IS 'When the last update was recorded, by the server''s clock.';

COMMENT ON COLUMN tallymark.job.created_at IS 'When the job was registered, by the server''s clock.';

COMMENT ON TABLE tallymark.job_event IS 'The ledger: one row an event, appended and never changed.';
COMMENT ON COLUMN tallymark.job_event.job_id IS 'The job.';
COMMENT ON COLUMN tallymark.job_event.event IS
  'Its kind, see event_kind; or what the crawler called an event of its own.';
COMMENT ON COLUMN tallymark.job_event.recorded_at IS 'When it was recorded, by the server''s clock.';
COMMENT ON COLUMN tallymark.job_event.seq IS 'The number of the event in its job: 1, 2, 3 and so on, without gaps.';
COMMENT ON COLUMN tallymark.job_event.update_key IS
  'The key of the update, see update_key; null for an event of the crawler''s own, which is no update.';
COMMENT ON COLUMN tallymark.job_event.occurred_at IS
  'When it happened, by the crawler''s clock; that of an update is never later than recorded_at.';
COMMENT ON COLUMN tallymark.job_event.payload IS 'What the update brought; null for an event of the crawler''s own.';
COMMENT ON COLUMN tallymark.job_event.details IS 'What only the moment of the merge knew, see event_facts.';
