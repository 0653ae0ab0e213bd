-- Changes no table. Its rollback drops the functions that came with it: groups of updates, and parts of a faster merge.
-- depends: 0012-job-marks

SET LOCAL search_path = pg_catalog, pg_temp;
