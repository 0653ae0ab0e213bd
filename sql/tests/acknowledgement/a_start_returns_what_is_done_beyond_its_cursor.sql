-- Items may end in any order. The answer to started names those after the cursor that are already done, so that a
-- restarted crawler leaves them out. After completed, it names those that this gave itself. The order of arrival makes no difference.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(12);

CREATE FUNCTION pg_temp.handed_back(job text, updates jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  v_update jsonb;
BEGIN
  PERFORM tallymark.create_job($1);
  FOR v_update IN SELECT u.value FROM jsonb_array_elements($2) AS u LOOP
    PERFORM tallymark.merge_progress($1, v_update);
  END LOOP;
  RETURN tallymark.merge_progress($1, '{"status": "started", "timestamp": "2025-01-07T10:00:00Z"}')
    #> '{resume,doneBeyond}';
END
$$;
CREATE FUNCTION pg_temp.at(minute integer, members jsonb) RETURNS jsonb LANGUAGE sql AS
  $$ SELECT $2 || jsonb_build_object('timestamp', format('2025-01-06T10:%s:00Z', lpad($1::text, 2, '0'))) $$;
CREATE FUNCTION pg_temp.beyond(minute integer, cursors jsonb) RETURNS jsonb LANGUAGE sql AS
  $$ SELECT pg_temp.at($1, jsonb_build_object('lastProcessedId', 'a', 'doneBeyond', $2)) $$;

SELECT is(pg_temp.handed_back('nothing', '[]'), '[]', 'nothing, where nothing was given');
SELECT is(pg_temp.handed_back('some', jsonb_build_array(pg_temp.beyond(1, '["c", "e"]'), pg_temp.beyond(2, '["e"]'))), '["e"]',
  'the newest');
SELECT is(pg_temp.handed_back('alone', jsonb_build_array(pg_temp.beyond(1, '["c"]'), pg_temp.at(2, '{"lastProcessedId": "b"}'))),
  '["c"]', 'a newer cursor alone undoes nothing');
SELECT is(pg_temp.handed_back('completed', jsonb_build_array(pg_temp.beyond(1, '["c"]'), pg_temp.at(2, '{"status": "completed"}'))),
  '[]', 'nothing after completed');
SELECT is(pg_temp.handed_back('late', jsonb_build_array(pg_temp.at(2, '{"status": "completed"}'), pg_temp.beyond(1, '["c"]'))),
  '[]', 'nor where it comes late');
SELECT is(pg_temp.handed_back('more', jsonb_build_array(pg_temp.beyond(1, '["c"]'), pg_temp.at(2, '{"status": "completed"}'),
  pg_temp.at(3, '{"stage": "s"}'))), '[]', 'nor after more updates');
SELECT is(pg_temp.handed_back('with', jsonb_build_array(pg_temp.beyond(1, '["c"]') || '{"status": "completed"}')), '["c"]',
  'but what completed gives itself: an item before it is still open');
SELECT is(pg_temp.handed_back('none', jsonb_build_array(pg_temp.beyond(1, '["c"]'),
  pg_temp.beyond(2, '[]') || '{"status": "completed"}')), '[]', 'nothing, where that is empty');
SELECT is(pg_temp.handed_back('next', jsonb_build_array(pg_temp.at(2, '{"status": "completed"}'), pg_temp.beyond(3, '["c"]'))),
  '["c"]', 'what a later run has done');
SELECT is(pg_temp.handed_back('state', jsonb_build_array(pg_temp.beyond(1, '["c"]'), pg_temp.at(2, '{"progress": {"page": 2}}'))),
  '["c"]', 'a resume state clears nothing');
SELECT is(bool_and(tallymark.verify_job(j.id)), true, 'the ledgers give the same') FROM tallymark.job AS j
WHERE j.id = ANY ('{nothing,some,alone,completed,late,more,with,none,next,state}');
DO $$ BEGIN PERFORM tallymark.create_job('field'); END $$;
UPDATE tallymark.job SET progress = '{"doneBeyond": 5}' WHERE id = 'field';
SELECT is(pg_temp.handed_back('field', '[]'), '[]', 'nothing, where an earlier release kept a field of the crawler''s own');

SELECT * FROM finish();
ROLLBACK;
