-- The stages of a job are one JSON document.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(3);

DO $$
BEGIN
  PERFORM tallymark.create_job('stages');
  PERFORM tallymark.merge_progress('stages', u) FROM jsonb_array_elements('[
    {"timestamp": "2025-01-06T10:00:00Z", "stage": "a"}, {"timestamp": "2025-01-06T10:01:00Z", "stage": "b"}]') AS u;
END
$$;

SELECT is(tallymark.stages_page('stages') #> '{stages,0}',
  '{"stage": "a", "seq": 1, "startedAt": "2025-01-06T10:00:00.000Z",
  "endedAt": "2025-01-06T10:01:00.000Z", "seconds": 60}', 'one that is over');
SELECT is(tallymark.stages_page('stages') #>> '{stages,1,endedAt}', NULL, 'one that is not');
SELECT throws_ok($$ SELECT tallymark.stages_page('nobody') $$, 'TK404', NULL, 'an unknown job is refused');

SELECT * FROM finish();
ROLLBACK;
