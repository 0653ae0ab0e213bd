-- Folding a ledger takes time, so a long one is folded only on request. An earlier outcome is shown.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(7);

DO $$ BEGIN PERFORM tallymark.create_job('D one'); PERFORM tallymark.merge_progress('D one',
  '{"processedItems": 5}'); END $$;
CREATE FUNCTION pg_temp.codes(verify boolean, last bigint DEFAULT NULL) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  j tallymark.job;
BEGIN
  SELECT x.* INTO j FROM tallymark.job AS x WHERE x.id = 'D one';
  j.last_seq := coalesce(last, j.last_seq);
  RETURN (SELECT string_agg(concat_ws(' ', f ->> 'code', f ->> 'severity'), ', ')
    FROM jsonb_array_elements(tallymark.diagnose_intake(j, verify)) AS f);
END
$$;

SELECT is(pg_temp.codes(NULL), 'all_taken ok, verified ok', 'a short ledger is verified');
SELECT is(pg_temp.codes(false), 'all_taken ok, not_verified ok', 'unless verify is false');
SELECT is(pg_temp.codes(NULL, 20001), 'all_taken ok, not_verified ok', 'a long ledger is not');
SELECT is(pg_temp.codes(true, 20001), 'all_taken ok, verified ok', 'unless verify is true');
UPDATE tallymark.job SET progress = '{}' WHERE id = 'D one';
SELECT is(pg_temp.codes(NULL), 'all_taken ok, mismatch problem', 'a row that was changed by hand is found');
DO $$ BEGIN PERFORM tallymark.note_verification('D one'); END $$;
SELECT is(pg_temp.codes(false), 'all_taken ok, mismatch problem', 'and remembered from the last verification');
DO $$ BEGIN PERFORM tallymark.note_intake('[{"jobId": "D one", "outcome": "refused", "code": "TK400"},
  {"jobId": "D one", "outcome": "refused", "code": "TK413"}, {"jobId": "D one", "outcome": "duplicate"}]'); END $$;
SELECT is(pg_temp.codes(true), 'refused warning, duplicates note, mismatch problem',
  'refusals and duplicates are listed first');

SELECT * FROM finish();
ROLLBACK;
