-- Each of our tables is listed with its size.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(6);

CREATE TEMPORARY TABLE found AS SELECT tallymark.database_figures() AS figures;

SELECT set_eq($$ SELECT t ->> 'table' FROM found, jsonb_array_elements(figures -> 'tables') AS t $$,
  $$ SELECT relname::text FROM pg_class WHERE relnamespace = 'tallymark'::regnamespace AND relkind = 'r' $$,
  'every table is listed');
SELECT is((SELECT array_agg(k ORDER BY k) FROM found, jsonb_object_keys(figures #> '{tables,0}') AS k),
  '{bytes,deadRows,indexBytes,rows,table}'::text[], 'each has these figures');
SELECT is_empty($$ SELECT t FROM found, jsonb_array_elements(figures -> 'tables') AS t
  WHERE (t -> 'indexBytes')::bigint <= 0 OR (t -> 'rows')::bigint < 0 OR (t -> 'deadRows')::bigint < 0 $$,
  'no figure is negative');
SELECT is((SELECT figures -> 'replica' FROM found), 'false', 'this is no replica');
SELECT is((SELECT figures ->> 'version' FROM found), current_setting('server_version'), 'its version');
SELECT is((SELECT (figures ->> 'startedAt')::timestamptz FROM found), pg_postmaster_start_time(),
  'and when it was started');

SELECT * FROM finish();
ROLLBACK;
