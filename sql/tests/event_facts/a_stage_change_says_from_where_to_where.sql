-- A stage_change has the stage that the job left and the one that it entered. An update that does not change the stage
-- of the job is not a stage_change.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(9);

CREATE FUNCTION pg_temp.event_after(payload jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  v_seq CONSTANT bigint := tallymark.merge_progress('job', payload) -> 'seq';
BEGIN
  RETURN (SELECT jsonb_build_array(t.event, t.details -> 'fromStage', t.details -> 'toStage')
    FROM tallymark.timeline('job', v_seq - 1, 1) AS t);
END
$$;
DO $$ BEGIN PERFORM tallymark.create_job('job'); END $$;

SELECT is(pg_temp.event_after('{"timestamp": "2025-01-06T10:00:00Z", "stage": "a"}'), '["stage_change", null, "a"]',
  'the first stage has no fromStage');
SELECT is(pg_temp.event_after('{"timestamp": "2025-01-06T10:01:00Z", "stage": "a"}'), '["progress_update", null, null]',
  'the same stage again is no change');
SELECT is(pg_temp.event_after('{"timestamp": "2025-01-06T10:05:00Z", "stage": "b"}'), '["stage_change", "a", "b"]',
  'a change');
SELECT is(pg_temp.event_after('{"timestamp": "2025-01-06T10:04:00Z", "stage": "c"}'), '["progress_update", null, null]',
  'a late update does not change the stage of the job');
SELECT is(pg_temp.event_after('{"timestamp": "2025-01-06T10:06:00Z", "message": "m"}'),
  '["progress_update", null, null]',
  'nor does an update without a stage');
SELECT is(pg_temp.event_after('{"timestamp": "2025-01-06T10:07:00Z", "stage": "d", "operationType": "discovery"}'),
  '["discovery_progress", "b", "d"]', 'an event of a more telling kind has the stages, too');
SELECT is(pg_temp.event_after('{"timestamp": "2025-01-06T10:08:00Z", "stage": "d", "error": "e"}'),
  '["error", null, null]', 'but not where the stage is the same');
SELECT is(details ->> 'stage', 'c', 'the late update''s event still says what it brought')
FROM tallymark.timeline('job', 3, 1);
SELECT is(progress ->> 'stage', 'd', 'the job is in its newest stage') FROM tallymark.job WHERE id = 'job';

SELECT * FROM finish();
ROLLBACK;
