-- Changes no table. No argument of a function has a default of a row type any more: PostgreSQL 15.20 refuses to add a
-- column with a default to a table whose row type is in such a default.
-- depends: 0014-where-yoyo-records

SET LOCAL lock_timeout = '2s';
SET LOCAL search_path = pg_catalog, pg_temp;

-- CREATE OR REPLACE cannot take a default away.
-- squawk-ignore ban-drop-function
DROP FUNCTION IF EXISTS tallymark.combine_updates(tallymark.batch_update[], tallymark.job[]);
