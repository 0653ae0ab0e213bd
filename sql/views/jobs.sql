-- Shows the jobs as a table that other tools can select from, filter and join.
--
-- It reads with the rights of its owner, so that readers need none on the table. (Where tables are distributed, it cannot
-- lend them: post-apply.py grants readers SELECT on the tables behind the views there.) It shows every job, as the reading
-- functions do. Nothing is hidden row by row, so it is no security_barrier: that would keep conditions such as starts_with
-- from the indexes.
--
-- New columns go to the end. CREATE OR REPLACE VIEW can only append, and a view that is dropped takes the views that
-- others built on it with it.

CREATE OR REPLACE VIEW tallymark.jobs AS
SELECT
  j.id,
  j.status,
  j.progress ->> 'stage' AS stage,
  j.progress ->> 'operationType' AS operation_type,
  j.progress ->> 'currentDataType' AS current_data_type,
  -- The sum over many workers may be too large for bigint.
  least(tallymark.processed_items(j.progress), 9223372036854775807)::bigint AS processed_items,
  (j.progress -> 'totalItems')::bigint AS total_items,
  tallymark.progress_percentage(j.progress) AS percentage,
  tallymark.progress_summary(j.progress) AS summary,
  coalesce(j.progress -> 'itemsByType', '{}') AS items_by_type,
  j.progress ->> 'message' AS message,
  j.progress -> 'error' AS error,
  j.progress ->> 'lastProcessedId' AS last_processed_id,
  j.resume_state,
  j.requested_command AS command,
  j.attributes,
  j.progress,
  j.facets,
  j.last_seq,
  j.pruned_seq,
  j.created_at,
  j.started_at,
  j.updated_at,
  j.finished_at,
  tallymark.progress_books(j.progress) AS books,
  tallymark.progress_shortfall(j.status, j.progress) AS shortfall,
  j.parent,
  j.series
FROM tallymark.job AS j;

COMMENT ON VIEW tallymark.jobs IS
'Shows the jobs: one row for each that is registered. A job that was deleted is no longer there; its archive has it, if
tallymark prune made one. The values are those of get_job. Indexes: id, also its beginning by starts_with(id,
''shop-''); status; created_at; finished_at where it is not null; facets by @>; attributes by @>, together with
attributes <> ''{}'';
series; parent. updated_at has none, because each update changes it: for the jobs of the last hour, read
tallymark.events by recorded_at.';

COMMENT ON COLUMN tallymark.jobs.id IS 'The taskId of the wire protocol, 1 to 255 characters. It sorts by its bytes.';
COMMENT ON COLUMN tallymark.jobs.status IS
'queued until somebody reports, then running, waiting_credential_renewal, paused, finished and so on; see
docs/job-states.md.';
COMMENT ON COLUMN tallymark.jobs.stage IS 'The stage that the crawler is in, as it calls it; null where it gave none.';
COMMENT ON COLUMN tallymark.jobs.operation_type IS
'discovery, branch_crawling, data_collection or finalization; null where no crawler gave it.';
COMMENT ON COLUMN tallymark.jobs.current_data_type IS 'The type of what is crawled now; null where no crawler gave it.';
COMMENT ON COLUMN tallymark.jobs.processed_items IS
'How many items were processed, from which percentage and summary are computed: processedItems, or the sum of
items_by_type where no crawler ever gave it; 0 where nothing was counted. See processed_items. A sum beyond bigint is
shown as the largest bigint.';
COMMENT ON COLUMN tallymark.jobs.total_items IS
'totalItems: how many items are expected; null where that is not known.';
COMMENT ON COLUMN tallymark.jobs.percentage IS
'How much is done, 0 to 100 with one decimal, as progress_percentage computes it; null while the total is not known.';
COMMENT ON COLUMN tallymark.jobs.summary IS
'The same for people, such as 150/500 issues (30%), as progress_summary writes it.';
COMMENT ON COLUMN tallymark.jobs.items_by_type IS
'How many items of each type were counted, {"issues": 150}; {} where nothing was.';
COMMENT ON COLUMN tallymark.jobs.message IS 'The newest message; null where no crawler gave one.';
COMMENT ON COLUMN tallymark.jobs.error IS
'The newest error, a string or an object such as {"type", "message", "code", "context"}; null where there was none. It
stays when the job goes on.';
COMMENT ON COLUMN tallymark.jobs.last_processed_id IS
'The cursor: the last item that was processed, from which a restarted crawler goes on; null where there is none.';
COMMENT ON COLUMN tallymark.jobs.resume_state IS
'What the crawler stored for its restart, any JSON; null where it stored nothing, and since the job completed.';
COMMENT ON COLUMN tallymark.jobs.command IS
'What an operator asks of the crawler and it has not done yet: pause, cancel or resume; null for nothing.';
COMMENT ON COLUMN tallymark.jobs.attributes IS 'The registrar''s own; {} where there are none.';
COMMENT ON COLUMN tallymark.jobs.progress IS
'All that was reported, merged, under the names of the wire protocol: also the fields that have no column here.';
COMMENT ON COLUMN tallymark.jobs.facets IS
'What jobs are searched by, with an index: WHERE facets @> ''{"stage": "fetch"}''. Members: stage, operationType,
currentDataType, itemTypes (an array of the types counted).';
COMMENT ON COLUMN tallymark.jobs.last_seq IS 'The number of its last event, 0 where it has none.';
COMMENT ON COLUMN tallymark.jobs.pruned_seq IS
'Its events up to this number were pruned: tallymark.events does not have them, the counts do; 0 where it has all.';
COMMENT ON COLUMN tallymark.jobs.created_at IS 'When it was registered, by the server''s clock.';
COMMENT ON COLUMN tallymark.jobs.started_at IS
'When the earliest of its updates happened, by the crawlers'' clocks; null before the first.';
COMMENT ON COLUMN tallymark.jobs.updated_at IS
'When its last update was recorded, by the server''s clock; when it was registered, before the first.';
COMMENT ON COLUMN tallymark.jobs.finished_at IS
'When it ended, by the crawler''s clock, while it is finished, failed or cancelled; else null.';
COMMENT ON COLUMN tallymark.jobs.books IS
'Of each type how many there are, what became of them, and how many are left, {"issues": {"total", "done", "failed",
"skipped", "left", "over"}}, as progress_books computes it; null where the crawlers gave nothing to balance.';
COMMENT ON COLUMN tallymark.jobs.shortfall IS
'What is missing from a finished job, {"issues": 7}, as progress_shortfall computes it; null where nothing is left.';
COMMENT ON COLUMN tallymark.jobs.parent IS 'The job that it is part of; null where it is part of none.';
COMMENT ON COLUMN tallymark.jobs.series IS
'Which crawl, run again and again, it is a run of: its attribute series; null where it has none.';

REVOKE ALL ON tallymark.jobs FROM PUBLIC;
GRANT SELECT ON tallymark.jobs TO tallymark_reader, tallymark_admin;
