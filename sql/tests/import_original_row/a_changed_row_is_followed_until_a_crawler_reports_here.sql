-- A row that has changed since it was taken over, as after a rehearsal, is taken over again: counts rise, new entries of
-- the timeline are appended. Once a crawler has reported on the job here it is not, because items might count twice.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(15);
\ir ../helpers.psql

CREATE FUNCTION pg_temp.original(status text, issues integer, entries integer, at text) RETURNS jsonb LANGUAGE sql
RETURN jsonb_build_object('id', 'job', 'status', status, 'started_at', '2025-01-06T10:00:00', 'updated_at', at,
  'progress', jsonb_build_object('processedItems', issues, 'itemsByType', jsonb_build_object('issues', issues),
    'timeline', (SELECT coalesce(jsonb_agg(jsonb_build_object('timestamp', '2025-01-06T10:00:00Z', 'event', 'e' || n)
      ORDER BY n), '[]') FROM generate_series(1, entries) AS n)));

SELECT is(tallymark.import_original_row(pg_temp.original('running', 10, 2, '2025-01-06T11:00:00')) ->> 'outcome',
  'imported', 'first');
SELECT is(tallymark.import_original_row(pg_temp.original('running', 25, 3, '2025-01-06T12:00:00'))
  - 'taken', '{"id": "job", "outcome": "updated", "events": 4, "timelineEntries": 3, "problems": [], "mended": []}',
  'the row has changed, and is taken over again');
SELECT is(j.progress, '{"processedItems": 25, "itemsByType": {"issues": 25}}', 'the counts are those of the row now')
  FROM tallymark.job AS j WHERE j.id = 'job';
SELECT is((SELECT array_agg(t.event ORDER BY t.seq) FROM tallymark.timeline('job') AS t WHERE t.event ~ '^e[0-9]'),
  '{e1,e2,e3}', 'each entry of the timeline is there once');
SELECT is(tallymark.import_original_row(pg_temp.original('finished', 25, 3, '2025-01-06T12:00:00')) ->> 'outcome',
  'updated', 'a change without another time');
SELECT is(j.status, 'finished', 'counts as the newer one') FROM tallymark.job AS j WHERE j.id = 'job';
SELECT is(tallymark.import_original_row(pg_temp.original('running', 10, 2, '2025-01-06T11:00:00')) ->> 'outcome',
  'unchanged', 'the first row is still known');
SELECT ok(tallymark.verify_job('job'), 'the state is the fold of the ledger');

DO $$ BEGIN PERFORM tallymark.merge_progress('job', '{"updateId": "u", "status": "started",
  "itemsByType": {"issues": 5}}'); END $$;
CREATE TEMPORARY TABLE before AS SELECT pg_temp.all_of_it() AS it;
CREATE TEMPORARY TABLE done AS SELECT tallymark.import_original_row(pg_temp.original('running', 30, 4,
  '2025-01-06T13:00:00')) AS it;
SELECT is(it ->> 'outcome', 'changed', 'once a crawler has reported here, a change is not taken over') FROM done;
SELECT is(jsonb_array_length(it -> 'problems'), 1, 'which is named') FROM done;
SELECT is(it -> 'taken', '[]', 'nothing is taken') FROM done;
SELECT is(pg_temp.all_of_it(), it, 'and nothing changes') FROM before;

-- A job that a crawler reported on before its row came: the row is one more report, in whatever order.
DO $$ BEGIN
  PERFORM tallymark.create_job('early');
  PERFORM tallymark.merge_progress('early', '{"timestamp": "2025-01-06T12:30:00Z", "itemsByType": {"issues": 5},
    "stage": "new"}');
END $$;
SELECT is(tallymark.import_original_row(pg_temp.original('paused', 10, 1, '2025-01-06T11:00:00') || '{"id": "early"}')
  ->> 'outcome', 'imported', 'a row that comes after reports is taken over');
SELECT is(to_jsonb(j) - 'progress' @> '{"status": "running"}' AND j.progress @> '{"stage": "new", "itemsByType":
  {"issues": 15}}', true, 'the report is the newer one, and the counts add up') FROM tallymark.job AS j
  WHERE j.id = 'early';
SELECT ok(tallymark.verify_job('early'), 'and the state is the fold of the ledger');

SELECT * FROM finish();
ROLLBACK;
