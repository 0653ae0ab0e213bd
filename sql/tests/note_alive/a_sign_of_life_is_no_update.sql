-- It notes that the crawler is alive, and returns the pending command. The state and the ledger do not change.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(14);

DO $$
BEGIN
  PERFORM tallymark.create_job('job');
  PERFORM tallymark.merge_progress('job', '{"status": "started", "timestamp": "2025-01-06T10:00:00Z"}');
END
$$;
CREATE TEMPORARY TABLE before ON COMMIT DROP AS SELECT to_jsonb(j) - 'alive_at' AS job, tallymark.job_at('job', 1) AS at
FROM tallymark.job AS j WHERE j.id = 'job';

SELECT is(tallymark.note_alive('job'), '{"command": null}', 'nothing is asked of the crawler');
SELECT ok((SELECT j.alive_at > j.updated_at FROM tallymark.job AS j WHERE j.id = 'job'), 'it is noted');
SELECT is((SELECT to_jsonb(j) - 'alive_at' FROM tallymark.job AS j WHERE j.id = 'job'), (SELECT job FROM before),
  'nothing else of the job changes');
SELECT is((SELECT count(*) FROM tallymark.job_event AS e WHERE e.job_id = 'job'), 1::bigint, 'nothing is appended');
SELECT is(tallymark.job_at('job', 1), (SELECT at FROM before), 'the job as it was is the same');
SELECT ok(tallymark.verify_job('job'), 'the state is the fold of the ledger');
SELECT ok(tallymark.job_record('job') -> 'job' ? 'alive_at', 'an archive has it');

DO $$ DECLARE v_then timestamptz := clock_timestamp() - interval '0.1 s'; BEGIN
  UPDATE tallymark.job SET alive_at = v_then WHERE id = 'job'; END $$;
CREATE TEMPORARY TABLE noted ON COMMIT DROP AS SELECT alive_at FROM tallymark.job WHERE id = 'job';
DO $$ BEGIN PERFORM tallymark.request_command('job', 'pause'); END $$;
SELECT is(tallymark.note_alive(worker_id => 'w1', job_id => 'job'), '{"command": "pause"}', 'the command that is pending');
SELECT is((SELECT j.alive_at FROM tallymark.job AS j WHERE j.id = 'job'), (SELECT alive_at FROM noted),
  'a sign within a second of the last one changes nothing');
SELECT throws_ok($$ SELECT tallymark.note_alive('no such job') $$, 'TK404', NULL, 'an unknown job is refused');
SELECT throws_ok($$ SELECT tallymark.note_alive(NULL) $$, 'TK400', NULL, 'no job');
SELECT throws_ok($$ SELECT tallymark.note_alive('job', '') $$, 'TK400', NULL, 'an empty worker');
SELECT throws_ok($$ SELECT tallymark.note_alive('job', repeat('w', 101)) $$, 'TK400', NULL, 'a worker that is too long');
SELECT is((SELECT count(*) FROM pg_index AS i JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
  WHERE i.indrelid = 'tallymark.job'::regclass AND a.attname = 'alive_at'), 0::bigint,
  'no index has it, so each sign is a HOT update');

SELECT * FROM finish();
ROLLBACK;
