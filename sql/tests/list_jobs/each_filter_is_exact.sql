-- Jobs are found by their current facets, by what they count and by parts of their ids. A filter is not a pattern.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(36);

DO $$
BEGIN
  PERFORM tallymark.create_job(id) FROM unnest('{L a,L b,L%_c,L\\d,M a}'::text[]) AS id;
  PERFORM tallymark.merge_progress('L a', '{"timestamp": "2025-01-06T10:00:00Z", "stage": "s", "itemsByType": {"x": 1},
    "operationType": "discovery", "currentDataType": "issues"}');
  PERFORM tallymark.merge_progress('L b', '{"timestamp": "2025-01-06T10:00:00Z", "stage": "S", "itemsByType": {"y": 1,
    "x": 1}, "status": "completed"}');
  UPDATE tallymark.job SET updated_at = '2020-01-01' WHERE id = 'L\d';
END
$$;
CREATE FUNCTION pg_temp.found(page jsonb) RETURNS text LANGUAGE sql
RETURN coalesce((SELECT string_agg(j ->> 'id', ', ') FROM jsonb_array_elements(page -> 'jobs') AS j), '');
CREATE FUNCTION pg_temp.l(status text DEFAULT NULL, stage text DEFAULT NULL, operation_type text DEFAULT NULL,
  current_data_type text DEFAULT NULL, item_type text DEFAULT NULL, updated_since timestamptz DEFAULT NULL,
  q text DEFAULT NULL) RETURNS text LANGUAGE sql
RETURN pg_temp.found(tallymark.list_jobs(status, stage, operation_type, current_data_type, item_type, updated_since,
  q, 'L'));

SELECT is(pg_temp.l(), 'L a, L b, L%_c, L\d', 'without a filter, in the order of the bytes');
SELECT is(pg_temp.l(status => 'running'), 'L a', 'status');
SELECT is(pg_temp.l(status => 'queued'), 'L%_c, L\d', 'jobs that nobody has reported on');
SELECT is(pg_temp.l(status => 'nothing'), '', 'a status that no job has');
SELECT is(pg_temp.l(stage => 's'), 'L a', 'stage');
SELECT is(pg_temp.l(stage => 'S'), 'L b', 'letter for letter');
SELECT is(pg_temp.l(operation_type => 'discovery'), 'L a', 'operation type');
SELECT is(pg_temp.l(current_data_type => 'issues'), 'L a', 'data type');
SELECT is(pg_temp.l(item_type => 'x'), 'L a, L b', 'type of items');
SELECT is(pg_temp.l(item_type => 'y'), 'L b', 'another');
SELECT is(pg_temp.l(item_type => 'x', stage => 's'), 'L a', 'two facets together');
SELECT is(pg_temp.l(item_type => 'y', stage => 's'), '', 'of which both must hold');
SELECT is(pg_temp.l(item_type => 'x', status => 'finished'), 'L b', 'a facet and the status');
SELECT is(pg_temp.l(updated_since => '2021-01-01'), 'L a, L b, L%_c', 'updated_since');
SELECT is(pg_temp.l(updated_since => '2020-01-01'), 'L a, L b, L%_c, L\d', 'the instant itself included');
SELECT is(pg_temp.l(q => 'a'), 'L a', 'a part of the id');
SELECT is(pg_temp.l(q => 'A'), '', 'letter for letter');
SELECT is(pg_temp.l(q => '%'), 'L%_c', 'a percent sign is itself');
SELECT is(pg_temp.l(q => '_'), 'L%_c', 'and so is an underscore');
SELECT is(pg_temp.l(q => '\'), 'L\d', 'and a backslash');
SELECT is(pg_temp.l(q => ''' OR true --'), '', 'and nothing is SQL');
SELECT is(pg_temp.found(tallymark.list_jobs(id_prefix => 'L%')), 'L%_c', 'the beginning of an id is no pattern');
SELECT is(pg_temp.found(tallymark.list_jobs(id_prefix => 'M', q => 'a')), 'M a', 'and restricts the list');
SELECT is((SELECT tallymark.list_jobs(id_prefix => 'M') #> '{jobs,0}'),
  tallymark.get_job('M a') #- '{progress,timeline}',
  'a job is as get_job gives it, without its timeline');

-- What a job was registered with.
DO $$
BEGIN
  PERFORM tallymark.create_job('R 1', '{"team": "search", "size": 3, "urgent": true, "series": "nightly"}', 'R');
  PERFORM tallymark.create_job('R 2', '{"team": "search", "size": "3", "series": "weekly"}', 'R');
  PERFORM tallymark.create_job('R 3', '{"team": "Search", "at": {"team": "search"}}', 'R 1');
END
$$;
CREATE FUNCTION pg_temp.r(attributes jsonb DEFAULT NULL, series text DEFAULT NULL, parent text DEFAULT NULL)
RETURNS text LANGUAGE sql
RETURN pg_temp.found(tallymark.list_jobs(id_prefix => 'R', attributes => attributes, series => series,
  parent => parent));
SELECT is(pg_temp.r('{}'), 'R 1, R 2, R 3', 'no attribute');
SELECT is(pg_temp.r('{"team": "search"}'), 'R 1, R 2', 'an attribute, letter for letter');
SELECT is(pg_temp.r('{"team": "sea"}'), '', 'and as a whole');
SELECT is(pg_temp.r('{"size": "3"}'), 'R 1, R 2', 'a text also finds the number that is written so');
SELECT is(pg_temp.r('{"size": 3}'), 'R 1', 'a number only numbers');
SELECT is(pg_temp.r('{"urgent": "true", "size": "3", "team": "search"}'), 'R 1', 'several, which all must hold');
SELECT is(pg_temp.r('{"at": {"team": "search"}}'), 'R 3', 'an object');
SELECT is(pg_temp.r(series => 'nightly'), 'R 1', 'a series');
SELECT is(pg_temp.r(parent => 'R'), 'R 1, R 2', 'a parent, but not what is part of its parts');
SELECT is(pg_temp.r('{"team": "search"}', 'weekly', 'R'), 'R 2', 'all of these together');
SELECT throws_ok($$ SELECT tallymark.list_jobs(attributes => '[]') $$, 'TK400', NULL, 'attributes that are no object');
SELECT throws_ok($$ SELECT tallymark.list_jobs(attributes => '{"1": 1, "2": 1, "3": 1, "4": 1, "5": 1, "6": 1, "7": 1,
  "8": 1, "9": 1}') $$, 'TK400', NULL, 'and more than eight');

SELECT * FROM finish();
ROLLBACK;
