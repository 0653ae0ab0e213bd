-- Texts for people say "1 update was", not "1 updates were", in findings and in alerts.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(5);
\ir ../helpers.psql

DO $$ BEGIN
  PERFORM tallymark.create_job('N one');
  PERFORM tallymark.merge_progress('N one', '{"error": "boom", "itemsByType": {"issues": 1}}');
  PERFORM tallymark.note_intake('[{"jobId": "N one", "outcome": "refused", "code": "TK400"},
    {"jobId": "N one", "outcome": "duplicate"}]');
  PERFORM tallymark.create_job('N two');
  PERFORM tallymark.merge_progress('N two', '{"workerId": "a", "message": "m"}');
  PERFORM tallymark.merge_progress('N two', '{"workerId": "b", "message": "m"}');
  PERFORM tallymark.request_command('N two', 'pause');
  PERFORM tallymark.merge_progress('N two', '{"workerId": "b", "message": "n"}');
  PERFORM tallymark.prune_job('N two', 'infinity', 3, 1);
END $$;

CREATE FUNCTION pg_temp.says(findings jsonb) RETURNS text LANGUAGE sql RETURN (
  SELECT string_agg(f ->> 'says', E'\n') FROM jsonb_array_elements(findings) AS f);
CREATE TEMPORARY VIEW texts AS
SELECT 'job ' || id AS what, (
    SELECT string_agg(pg_temp.says(s -> 'findings'), E'\n')
    FROM jsonb_array_elements(tallymark.diagnose_job(id, false) -> 'scenarios') AS s) AS text
FROM unnest('{N one,N two}'::text[]) AS id
UNION ALL
SELECT 'order', pg_temp.says(tallymark.diagnose_order('{"updates": 1, "late": 0, "ahead": 1, "aheadSeconds": 7, "workers": 2,
  "byWorker": [{"worker": "", "updates": 1}, {"worker": "w", "updates": 2}],
  "jumping": {"worker": "w", "drops": 1, "starts": 1, "updates": 9}}'))
UNION ALL
SELECT 'performance', pg_temp.says(tallymark.diagnose_performance(pg_temp.row_of('N one'), '{"updates": 9, "large": 1, "largestSeq": 1,
  "largestBytes": 20000, "averageBytes": 1, "itemsPerUpdate": 1}'))
UNION ALL
SELECT 'alert', tallymark.alert_text(jsonb_populate_record(NULL::tallymark.alert,
  '{"kind": "errors", "facts": {"since": "2025-01-06T09:00:00.000Z", "errors": 1}}'), false);

SELECT is_empty($$SELECT what, text FROM texts
  WHERE text IS NULL OR text ~ '\m1 (updates|errors|events|items|times|bytes)\M'$$, 'no plural follows a 1');
SELECT is_empty($$SELECT what, text FROM texts WHERE text ~ '\m([02-9]|[0-9]{2,}) (update|error|event|item|time)\M'$$,
  'no singular follows another number');
SELECT alike(text, '%Its crawler reported 1 error in its newest 1 update,%1 of its updates was refused,%: once TK400.%'
  'Its ledger of 1 event was not verified now.%', 'one of each') FROM texts WHERE what = 'job N one';
SELECT alike(text, '%there has been 1 event since,%Its first event was pruned:%', 'one event')
FROM texts WHERE what = 'job N two';
SELECT alike(text, '%1 of 1 update had %processedItems fell once for the worker w:%one without a workerId (1 update), '
  'w (2 updates).', 'one time, and one update of two workers') FROM texts WHERE what = 'order';

SELECT * FROM finish();
ROLLBACK;
