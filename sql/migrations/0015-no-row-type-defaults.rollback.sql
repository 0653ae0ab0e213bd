-- Takes nothing away: the release before replaces the function by its own, with the default.

SET LOCAL search_path = pg_catalog, pg_temp;
