-- A crawler's own events are appended unchanged and in their order, after the event of the update that carried them.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(9);

DO $$ BEGIN PERFORM tallymark.create_job('job'); END $$;
CREATE TEMPORARY TABLE ack AS SELECT tallymark.merge_progress('job',
  '{"status": "processing", "timestamp": "2025-01-06T10:00:00Z",
  "timeline": [{"timestamp": "2025-01-06T09:58:00Z", "event": "rate_limit", "details": {"wait": 30, "x": null}},
    {"timestamp": "2025-01-06T09:57:00.5Z", "event": "note"},
    {"timestamp": "2025-01-06T09:57:00Z", "event": "error", "details": {"a": [1]}}]}') AS it;
SELECT is(it -> 'seq', '1', 'the update has its own number') FROM ack;
SELECT results_eq($$ SELECT t.seq, t.event, t."timestamp" FROM tallymark.timeline('job') AS t $$,
  $$ VALUES (1::bigint, 'progress_update', '2025-01-06T10:00:00Z'::timestamptz), (2, 'rate_limit',
    '2025-01-06T09:58:00Z'),
    (3, 'note', '2025-01-06T09:57:00.5Z'), (4, 'error', '2025-01-06T09:57:00Z') $$,
      'in their own order, with their own times');
SELECT is(details, '{"wait": 30, "x": null}', 'their details are as they came') FROM tallymark.timeline('job', 1, 1);
SELECT is(details, '{}', 'or empty') FROM tallymark.timeline('job', 2, 1);
SELECT is(last_seq, 4::bigint, 'they use up numbers') FROM tallymark.job WHERE id = 'job';
SELECT is(tallymark.merge_progress('job', '{"timestamp": "2025-01-06T10:01:00Z", "timeline": []}') -> 'seq', '5',
  'the next update is numbered after them');
SELECT is(progress || '{"started": 1}', '{"started": 1}', 'they do not change the merged state') FROM tallymark.job
WHERE id = 'job';
SELECT is(started_at, '2025-01-06T10:00:00Z', 'nor its times') FROM tallymark.job WHERE id = 'job';
SELECT ok(tallymark.verify_job('job'), 'and a fold ignores them');

SELECT * FROM finish();
ROLLBACK;
