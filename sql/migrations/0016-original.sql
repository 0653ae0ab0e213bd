-- Changes no table. Its rollback drops the functions that came with it: the import of the original's jobs.
-- depends: 0013-groups

SET LOCAL search_path = pg_catalog, pg_temp;
