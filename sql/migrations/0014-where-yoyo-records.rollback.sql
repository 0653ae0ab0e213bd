-- Nothing was changed, so nothing is taken back.

SET LOCAL search_path = pg_catalog, pg_temp;
