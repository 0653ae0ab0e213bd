-- Takes the indexes away; the functions that read by them work without, only more slowly.

SET LOCAL lock_timeout = '5s';
SET LOCAL search_path = pg_catalog, pg_temp;

DROP INDEX IF EXISTS tallymark.job_event_error_idx;
DROP INDEX IF EXISTS tallymark.job_finished_idx;
