-- Changes no table. Its rollback drops the views jobs and events, and the functions that came with them.
-- depends: 0017-counts-and-names

SET LOCAL lock_timeout = '2s';
SET LOCAL search_path = pg_catalog, pg_temp;

-- Each gets a parameter more, which has a default, so calls stay as they are; with both there, calls would be ambiguous.
-- squawk-ignore ban-drop-function
DROP FUNCTION IF EXISTS tallymark.receive_progress(jsonb, text, text);
-- squawk-ignore ban-drop-function
DROP FUNCTION IF EXISTS tallymark.receive_group(jsonb[], text[], text[], boolean);
