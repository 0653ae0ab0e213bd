-- Takes away the marks of jobs: the release that is gone back to installs its own functions.

SET LOCAL lock_timeout = '2s';
SET LOCAL search_path = pg_catalog, pg_temp;

DROP FUNCTION IF EXISTS tallymark.job_changes(text[], bigint[], integer, bigint[]);
DROP FUNCTION IF EXISTS tallymark.job_tag(timestamptz, bigint, bigint);
DROP FUNCTION IF EXISTS tallymark.job_mark(text, bigint, bigint, timestamptz);
