-- The duration of a completion that arrives late ends at its own time, not at that of earlier arrivals.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(1);

DO $$
BEGIN
  PERFORM tallymark.create_job('job');
  PERFORM tallymark.merge_progress('job', '{"status": "started", "timestamp": "2025-01-06T10:00:00Z"}');
  PERFORM tallymark.merge_progress('job', '{"status": "started", "timestamp": "2025-01-06T12:00:00Z"}');
  PERFORM tallymark.merge_progress('job', '{"status": "completed", "timestamp": "2025-01-06T11:00:00Z"}');
END
$$;
SELECT is(details -> 'duration', '3600000', 'one hour') FROM tallymark.timeline('job', 2);

SELECT * FROM finish();
ROLLBACK;
