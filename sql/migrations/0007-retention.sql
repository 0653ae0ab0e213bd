-- What is left of the events that retention takes out of the ledger: the state that they add up to, and their keys.
-- depends: 0006-dashboard

SET LOCAL lock_timeout = '2s';
SET LOCAL search_path = pg_catalog, pg_temp;

ALTER TABLE tallymark.job ADD COLUMN IF NOT EXISTS pruned_seq bigint NOT NULL DEFAULT 0;
COMMENT ON COLUMN tallymark.job.pruned_seq IS
  'The number of the last event that was folded into the baseline and is in the ledger no more; 0 where all are in it.';

-- These belong to the job and are written under its row's lock, as the ledger is.
CREATE TABLE IF NOT EXISTS tallymark.job_baseline (
  job_id text COLLATE "C" NOT NULL,
  seq bigint NOT NULL,
  updates bigint NOT NULL,
  state jsonb NOT NULL,
  command_after timestamptz,
  digest bytea NOT NULL,
  folded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT job_baseline_pkey PRIMARY KEY (job_id)
);

CREATE TABLE IF NOT EXISTS tallymark.job_baseline_area (
  job_id text COLLATE "C" NOT NULL,
  full_path text COLLATE "C" NOT NULL,
  details jsonb NOT NULL,
  clocks jsonb NOT NULL,
  discovered_at timestamptz NOT NULL,
  CONSTRAINT job_baseline_area_pkey PRIMARY KEY (job_id, full_path)
);

CREATE TABLE IF NOT EXISTS tallymark.pruned_update (
  job_id text COLLATE "C" NOT NULL,
  key_digest bytea NOT NULL,
  seq bigint NOT NULL,
  CONSTRAINT pruned_update_pkey PRIMARY KEY (job_id, key_digest)
);

ALTER TABLE tallymark.job_baseline OWNER TO tallymark_owner;
ALTER TABLE tallymark.job_baseline_area OWNER TO tallymark_owner;
ALTER TABLE tallymark.pruned_update OWNER TO tallymark_owner;

COMMENT ON TABLE tallymark.job_baseline IS
  'Where the fold of a job''s ledger begins, for jobs whose oldest events were pruned: the state that those add up to.';
COMMENT ON COLUMN tallymark.job_baseline.job_id IS 'The job.';
COMMENT ON COLUMN tallymark.job_baseline.seq IS 'The number of the last event that is in it, as job.pruned_seq.';
COMMENT ON COLUMN tallymark.job_baseline.updates IS 'How many updates are in it: each has its key in pruned_update.';
COMMENT ON COLUMN tallymark.job_baseline.state IS
  'Columns of tallymark.job by their names, before the areas are counted; see fold_updates.';
COMMENT ON COLUMN tallymark.job_baseline.command_after IS
  'For a command that was not obeyed yet: the newest update, by its time, that there was when it was given.';
COMMENT ON COLUMN tallymark.job_baseline.digest IS 'SHA-256 of the rest, by which a change from elsewhere is noticed.';
COMMENT ON COLUMN tallymark.job_baseline.folded_at IS 'When events were last folded into it.';
COMMENT ON TABLE tallymark.job_baseline_area IS
  'The areas of the events that were pruned: rows as those of job_area.';
COMMENT ON COLUMN tallymark.job_baseline_area.job_id IS 'The job.';
COMMENT ON COLUMN tallymark.job_baseline_area.full_path IS 'As in job_area.';
COMMENT ON COLUMN tallymark.job_baseline_area.details IS 'As in job_area.';
COMMENT ON COLUMN tallymark.job_baseline_area.clocks IS 'As in job_area.';
COMMENT ON COLUMN tallymark.job_baseline_area.discovered_at IS 'As in job_area.';
COMMENT ON TABLE tallymark.pruned_update IS
  'The keys of the updates that were pruned, so that one that comes again, however late, still counts once.';
COMMENT ON COLUMN tallymark.pruned_update.job_id IS 'The job.';
COMMENT ON COLUMN tallymark.pruned_update.key_digest IS '128 bits of the SHA-256 of the update''s key; see key_digest.';
COMMENT ON COLUMN tallymark.pruned_update.seq IS 'The number of the event that the update had.';
