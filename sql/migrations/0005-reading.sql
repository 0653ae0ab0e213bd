-- Indexes for reading across jobs.
-- depends: 0004-api-token

SET LOCAL lock_timeout = '5s';
SET LOCAL search_path = pg_catalog, pg_temp;

-- Both are on what a merge leaves as it is: few events are errors, and a job ends once. So merges stay HOT updates, and
-- nearly all of them pay for neither. Made in the migration's own transaction, which keeps writers waiting for as long as
-- the tables are read once.
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX IF NOT EXISTS job_event_error_idx ON tallymark.job_event (recorded_at)
  WHERE event = 'error' AND payload IS NOT NULL;
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX IF NOT EXISTS job_finished_idx ON tallymark.job (finished_at) WHERE finished_at IS NOT NULL;
