-- What the endpoint refused of a job's updates, or recognised as sent twice: the ledger has only what was taken.
-- depends: 0008-alerts

SET LOCAL lock_timeout = '2s';
SET LOCAL search_path = pg_catalog, pg_temp;

CREATE TABLE IF NOT EXISTS tallymark.job_intake (
  job_id text COLLATE "C" NOT NULL,
  outcome text COLLATE "C" NOT NULL,
  code text COLLATE "C" NOT NULL,
  times bigint NOT NULL,
  first_at timestamptz NOT NULL,
  last_at timestamptz NOT NULL,
  last_problem text,
  CONSTRAINT job_intake_pkey PRIMARY KEY (job_id, outcome, code)
);

ALTER TABLE tallymark.job_intake OWNER TO tallymark_owner;

COMMENT ON TABLE tallymark.job_intake IS
  'How many of a job''s updates were refused or were duplicates, as endpoints noted it: one row an outcome and code.';
COMMENT ON COLUMN tallymark.job_intake.job_id IS 'The job.';
COMMENT ON COLUMN tallymark.job_intake.outcome IS 'duplicate or refused.';
COMMENT ON COLUMN tallymark.job_intake.code IS 'Why, as the endpoint''s answer has it, such as TK400; empty where it says none.';
COMMENT ON COLUMN tallymark.job_intake.times IS 'How many updates.';
COMMENT ON COLUMN tallymark.job_intake.first_at IS 'When the first of them came, by the endpoint''s clock.';
COMMENT ON COLUMN tallymark.job_intake.last_at IS 'When the last one came.';
COMMENT ON COLUMN tallymark.job_intake.last_problem IS 'What was wrong with the last one, at most 500 characters.';
