-- The tags of jobs also tell a ledger from another one that was restored from a backup.
-- depends: 0011-ended-sessions

SET LOCAL lock_timeout = '2s';
SET LOCAL search_path = pg_catalog, pg_temp;

-- One gets a parameter more, which has a default, so calls stay as they are; with both there, calls would be ambiguous.
-- squawk-ignore ban-drop-function
DROP FUNCTION IF EXISTS tallymark.job_changes(text[], bigint[], integer);
-- squawk-ignore ban-drop-function
DROP FUNCTION IF EXISTS tallymark.job_tag(timestamptz, bigint);
