-- Changes no table. Its rollback drops the functions that came with it: what several reading functions have in common.
-- depends: 0009-intake

SET LOCAL search_path = pg_catalog, pg_temp;
