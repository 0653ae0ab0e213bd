-- Jobs are found by their current facets, by what they count and by parts of their ids. A filter is not a pattern.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(17);

DO $$
BEGIN
  PERFORM tallymark.create_job(id) FROM unnest('{L a,L b,L%_c,L\\d,M a}'::text[]) AS id;
  PERFORM tallymark.merge_progress('L a', '{"stage": "s", "itemsByType": {"x": 1}, "operationType": "discovery",
    "currentDataType": "issues"}');
  PERFORM tallymark.merge_progress('L b', '{"stage": "S", "itemsByType": {"y": 1, "x": 1}, "status": "completed"}');
END
$$;
CREATE FUNCTION pg_temp.l(status text DEFAULT NULL, stage text DEFAULT NULL, operation_type text DEFAULT NULL,
  current_data_type text DEFAULT NULL, item_type text DEFAULT NULL, q text DEFAULT NULL) RETURNS text LANGUAGE sql
RETURN coalesce((SELECT string_agg(j ->> 'id', ', ') FROM jsonb_array_elements(
  tallymark.newest_jobs(status, stage, operation_type, current_data_type, item_type, q, 'L') -> 'jobs') AS j), '');

SELECT is(pg_temp.l(), 'L\d, L%_c, L b, L a', 'none: all whose ids begin like that');
SELECT is(pg_temp.l(status => 'running'), 'L a', 'status');
SELECT is(pg_temp.l(status => 'queued'), 'L\d, L%_c', 'status of several');
SELECT is(pg_temp.l(status => 'Running'), '', 'letter for letter');
SELECT is(pg_temp.l(stage => 's'), 'L a', 'stage');
SELECT is(pg_temp.l(operation_type => 'discovery'), 'L a', 'operation type');
SELECT is(pg_temp.l(current_data_type => 'issues'), 'L a', 'data type');
SELECT is(pg_temp.l(item_type => 'x'), 'L b, L a', 'item type');
SELECT is(pg_temp.l(item_type => 'x', status => 'finished'), 'L b', 'several filters');
SELECT is(pg_temp.l(item_type => 'x', stage => 's', status => 'finished'), '', 'that no job meets');
SELECT is(pg_temp.l(q => '%_'), 'L%_c', 'a part of the id');
SELECT is(pg_temp.l(q => '\'), 'L\d', 'with any letters');
SELECT is(pg_temp.l(q => 'M'), '', 'only of those that are asked for');

-- What a job was registered with.
DO $$
BEGIN
  PERFORM tallymark.create_job('R 1', '{"team": "search", "series": "nightly"}', 'R');
  PERFORM tallymark.create_job('R 2', '{"team": "search"}', 'R');
END
$$;
CREATE FUNCTION pg_temp.r(attributes jsonb DEFAULT NULL, series text DEFAULT NULL, parent text DEFAULT NULL)
RETURNS text LANGUAGE sql
RETURN coalesce((SELECT string_agg(j ->> 'id', ', ') FROM jsonb_array_elements(tallymark.newest_jobs(id_prefix => 'R',
  attributes => attributes, series => series, parent => parent) -> 'jobs') AS j), '');
SELECT is(pg_temp.r('{"team": "search"}'), 'R 2, R 1', 'an attribute');
SELECT is(pg_temp.r(series => 'nightly'), 'R 1', 'a series');
SELECT is(pg_temp.r(parent => 'R'), 'R 2, R 1', 'a parent');
SELECT is(pg_temp.r('{"team": "search"}', 'weekly', 'R'), '', 'that no job meets');

SELECT * FROM finish();
ROLLBACK;
