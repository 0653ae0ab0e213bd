-- The original answers "Missing areas data in payload", and a refused update changes nothing. An empty array of areas
-- is accepted.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(8);

DO $$ BEGIN PERFORM tallymark.create_job('job'); END $$;
SELECT throws_ok(format($$ SELECT tallymark.merge_progress('job', %L) $$, u.payload), 'TK400',
  'Missing areas data in payload', 'refused: ' || u.payload)
FROM (VALUES (1, '{"status": "new_areas_discovered"}'),
  (2, '{"status": "new_areas_discovered", "timestamp": "2025-01-06T10:00:00Z"}'),
  (3, '{"status": "NEW_AREAS_DISCOVERED", "timestamp": "2025-01-06T10:00:00Z", "areas": null}'),
  (4, '{"status": "new_areas_discovered", "timestamp": "2025-01-06T10:00:00Z", "itemsByType": {"groups": 3}}'))
  AS u (number, payload) ORDER BY u.number;
SELECT throws_ok($$ SELECT tallymark.receive_progress(
    '{"taskId": "job", "status": "new_areas_discovered", "timestamp": "2025-01-06T10:00:00Z"}') $$,
  'TK400', 'Missing areas data in payload', 'over HTTP, too');
SELECT is(tallymark.receive_progress(
    '[{"taskId": "job", "status": "new_areas_discovered", "timestamp": "2025-01-06T10:00:00Z"}]') #>> '{0,error}',
  'Missing areas data in payload', 'and in a batch');
SELECT is(last_seq, 0::bigint, 'nothing was stored') FROM tallymark.job WHERE id = 'job';
SELECT is(tallymark.merge_progress('job',
    '{"status": "new_areas_discovered", "timestamp": "2025-01-06T10:00:00Z", "areas": []}') ->> 'message',
  'Areas discovery processed for task job: 0 groups, 0 projects', 'an empty array is accepted');

SELECT * FROM finish();
ROLLBACK;
