-- Changes no table. Its rollback drops the function that came with it, which merges what waits for one job.
-- depends: 0020-waiting-and-alive

SET LOCAL search_path = pg_catalog, pg_temp;
