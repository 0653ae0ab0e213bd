-- Changes no table. Its rollback drops the functions that came with it: the import of the original's jobs.
-- depends: 0015-no-row-type-defaults

SET LOCAL search_path = pg_catalog, pg_temp;
