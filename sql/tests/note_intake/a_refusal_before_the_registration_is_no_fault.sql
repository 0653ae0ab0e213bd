-- A crawler that reports first, is answered 404, registers its job and reports again has lost nothing. The refusals are
-- noted seconds later, when the job is there already.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(3);

DO $$ BEGIN PERFORM tallymark.create_job('job'); END $$;
SELECT is(tallymark.note_intake('[{"jobId": "job", "outcome": "refused", "code": "404", "problem": "Job not found"},
  {"jobId": "job", "outcome": "refused", "code": "TK404"}]'), 0::bigint, 'it is not counted');
SELECT is(tallymark.note_intake('[{"jobId": "job", "outcome": "refused", "code": "400"},
  {"jobId": "job", "outcome": "refused"}, {"jobId": "job", "outcome": "duplicate", "code": "404"}]'), 3::bigint,
  'other refusals are, and duplicates');
SELECT is(jsonb_path_query_first(tallymark.diagnose_job('job'), 'strict $.** ? (@.code == "refused").facts.codes'),
  '{"": 1, "400": 1}', 'so the diagnosis does not blame the crawler for it');

SELECT * FROM finish();
ROLLBACK;
