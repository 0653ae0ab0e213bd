-- The job (one row, the merged state) and its ledger (one row per event).
-- depends: 0001-roles-and-schema

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
-- Room on each page for the next versions of its rows: without it a merge cannot stay on the page (be a HOT update).
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
CREATE INDEX IF NOT EXISTS job_facets_idx ON tallymark.job USING gin (facets jsonb_path_ops);
CREATE INDEX IF NOT EXISTS job_status_idx ON tallymark.job (status, id);
ALTER TABLE tallymark.job OWNER TO tallymark_owner;
ALTER TABLE tallymark.job_event OWNER TO tallymark_owner;
