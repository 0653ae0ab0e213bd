-- One document has what a page needs to tell a working, a waiting, a stuck and a silent job apart.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(6);

DO $$
BEGIN
  PERFORM tallymark.create_job('job');
END
$$;
SELECT ok(tallymark.job_liveness('job') @> '{"id": "job", "status": "queued", "state": "queued", "lastUpdateAt": null,
  "aliveAt": null, "waitUntil": null, "allowedSeconds": 3600, "waited": {"seconds": 0, "reasons": []}}', 'a new job');
SELECT is(tallymark.job_liveness('job', '0') -> 'allowedSeconds', '0', 'its first update is never due');
DO $$ BEGIN PERFORM tallymark.merge_progress('job', jsonb_build_object('status', 'waiting', 'reason', 'rate limit',
  'timestamp', tallymark.iso_timestamp(now() - interval '1 min'),
  'waitUntil', tallymark.iso_timestamp(now() + interval '1 hour'))); END $$;
SELECT ok(tallymark.job_liveness('job') @> '{"status": "waiting", "state": "waiting", "reason": "rate limit",
  "waited": {"reasons": [{"reason": "rate limit", "waits": 1, "current": true}]}}', 'a job that waits');
SELECT is((tallymark.job_liveness('job') ->> 'waitUntil')::timestamptz, now() + interval '1 hour', 'until when');
DO $$ BEGIN PERFORM tallymark.merge_progress('job', '{"status": "paused"}'); END $$;
SELECT ok(tallymark.job_liveness('job') @> '{"status": "paused", "state": null, "since": null, "reason": null}',
  'a job that may be silent');
SELECT throws_ok($$ SELECT tallymark.job_liveness('no such job') $$, 'TK404', NULL, 'an unknown job is refused');

SELECT * FROM finish();
ROLLBACK;
