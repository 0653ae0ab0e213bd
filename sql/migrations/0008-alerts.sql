-- What operators are told about jobs, and how jobs compared with their ledgers when they were last checked.
-- depends: 0007-retention

SET LOCAL lock_timeout = '2s';
SET LOCAL search_path = pg_catalog, pg_temp;

CREATE TABLE IF NOT EXISTS tallymark.alert (
  job_id text COLLATE "C" NOT NULL,
  kind text COLLATE "C" NOT NULL,
  opened_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  recovered_at timestamptz,
  facts jsonb NOT NULL,
  opening_sent_at timestamptz,
  recovery_sent_at timestamptz,
  due_at timestamptz DEFAULT clock_timestamp(),
  claimed_by text,
  attempts bigint NOT NULL DEFAULT 0,
  delivered_to text[] NOT NULL DEFAULT '{}',
  last_error text,
  CONSTRAINT alert_pkey PRIMARY KEY (job_id, kind, opened_at)
);
-- One episode of a kind at a time, whoever watches.
CREATE UNIQUE INDEX IF NOT EXISTS alert_open_idx ON tallymark.alert (job_id, kind) WHERE recovered_at IS NULL;
-- The messages that are to be sent.
CREATE INDEX IF NOT EXISTS alert_due_idx ON tallymark.alert (due_at) WHERE due_at IS NOT NULL;
-- The episodes that are long over.
CREATE INDEX IF NOT EXISTS alert_recovered_idx ON tallymark.alert (recovered_at) WHERE recovered_at IS NOT NULL;

CREATE TABLE IF NOT EXISTS tallymark.job_check (
  job_id text COLLATE "C" NOT NULL,
  checked_at timestamptz NOT NULL,
  events bigint NOT NULL,
  exact boolean NOT NULL,
  difference jsonb,
  CONSTRAINT job_check_pkey PRIMARY KEY (job_id)
);
CREATE INDEX IF NOT EXISTS job_check_differing_idx ON tallymark.job_check (job_id) WHERE NOT exact;

ALTER TABLE tallymark.alert OWNER TO tallymark_owner;
ALTER TABLE tallymark.job_check OWNER TO tallymark_owner;

COMMENT ON TABLE tallymark.alert IS
  'Episodes that operators are told of: one row from when something is wrong with a job until it is not any more.';
COMMENT ON COLUMN tallymark.alert.job_id IS 'The job.';
COMMENT ON COLUMN tallymark.alert.kind IS 'stalled, failed, credentials, errors or mismatch; see alert_conditions.';
COMMENT ON COLUMN tallymark.alert.opened_at IS 'When it was noticed.';
COMMENT ON COLUMN tallymark.alert.recovered_at IS 'When it was noticed that it is over; null while it is not.';
COMMENT ON COLUMN tallymark.alert.facts IS 'What was known when it was noticed; see alert_conditions.';
COMMENT ON COLUMN tallymark.alert.opening_sent_at IS 'When operators had been told; null where they have not been yet.';
COMMENT ON COLUMN tallymark.alert.recovery_sent_at IS 'When they had been told that it is over.';
COMMENT ON COLUMN tallymark.alert.due_at IS
  'From when on a message about it may be sent; later than now while somebody sends it, null where none is to be sent.';
COMMENT ON COLUMN tallymark.alert.claimed_by IS 'Who sends, or sent last.';
COMMENT ON COLUMN tallymark.alert.attempts IS 'How often it was tried to send the message that is due.';
COMMENT ON COLUMN tallymark.alert.delivered_to IS 'Which receivers have the message that is due already.';
COMMENT ON COLUMN tallymark.alert.last_error IS 'Why it could not be sent to all of them.';
COMMENT ON TABLE tallymark.job_check IS 'How each job compared with the fold of its ledger when it was last checked.';
COMMENT ON COLUMN tallymark.job_check.job_id IS 'The job.';
COMMENT ON COLUMN tallymark.job_check.checked_at IS 'When.';
COMMENT ON COLUMN tallymark.job_check.events IS 'The number of its last event then.';
COMMENT ON COLUMN tallymark.job_check.exact IS 'Whether it was what its ledger says.';
COMMENT ON COLUMN tallymark.job_check.difference IS 'The first difference, as verify_differences gives it; null where there is none.';
