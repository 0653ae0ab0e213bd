-- Shows the ledgers as a table that other tools can select from, filter and join. jobs.sql says whose rights it reads
-- with and where new columns go.

CREATE OR REPLACE VIEW tallymark.events AS
SELECT
  e.job_id,
  e.seq,
  e.event AS kind,
  tallymark.update_status(e.payload) AS status,
  e.occurred_at AS happened_at,
  e.recorded_at,
  e.payload ->> 'message' AS message,
  e.payload ->> 'workerId' AS worker_id,
  e.payload ->> 'updateId' AS update_id,
  tallymark.event_details(e.payload, e.details) AS details,
  e.payload
FROM tallymark.job_event AS e;

COMMENT ON VIEW tallymark.events IS
'Shows the events of all jobs, one row for each: an update, an event of the crawler''s own, or a command. They are
numbered in each job without gaps, and none is ever changed. Pruned events are not there: a job''s rows begin after its
pruned_seq, and what the pruned ones counted is in tallymark.jobs. The events of a deleted job are not there either.
Indexes: job_id, and seq within a job; recorded_at (coarse, for ranges of time); errors by kind = ''error'' AND payload
IS NOT NULL AND recorded_at > ... . happened_at, kind and status have none of their own: name the job or a range of
recorded_at, too.';

COMMENT ON COLUMN tallymark.events.job_id IS 'The job, tallymark.jobs.id.';
COMMENT ON COLUMN tallymark.events.seq IS
'The number of the event in its job: 1, 2, 3 and so on, in the order of recording.';
COMMENT ON COLUMN tallymark.events.kind IS
'error, completion, credential_status_change, areas_discovered, discovery_progress, stage_change or progress_update for
an update; command_requested; or what the crawler called an event of its own.';
COMMENT ON COLUMN tallymark.events.status IS
'The status that the update reported, in lower case, such as processing; null for a command and for an event of the
crawler''s own.';
COMMENT ON COLUMN tallymark.events.happened_at IS
'When it happened, by the crawler''s clock, for a command by the server''s; that of an update is never later than
recorded_at.';
COMMENT ON COLUMN tallymark.events.recorded_at IS 'When it was recorded, by the server''s clock.';
COMMENT ON COLUMN tallymark.events.message IS 'The message of the update; null where it had none.';
COMMENT ON COLUMN tallymark.events.worker_id IS 'Which worker of the job reported; null where it did not say.';
COMMENT ON COLUMN tallymark.events.update_id IS
'The updateId, or the header Idempotency-Key, that the update came with; null where it had none.';
COMMENT ON COLUMN tallymark.events.details IS
'What the event says, in the shape of the function timeline: for a change of stage fromStage and toStage, for an error
errorType and errorMessage, for a completion finalCounts and duration.';
COMMENT ON COLUMN tallymark.events.payload IS
'The update as it was accepted, under the names of the wire protocol; null for a command and for an event of the
crawler''s own.';

REVOKE ALL ON tallymark.events FROM PUBLIC;
GRANT SELECT ON tallymark.events TO tallymark_reader, tallymark_admin;
