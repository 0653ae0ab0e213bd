-- Pruning keeps the waits of the events that it deletes, also where an update comes late.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(9);

DO $$
BEGIN
  PERFORM tallymark.create_job('kept');
  PERFORM tallymark.merge_progress('kept', u.payload::jsonb) FROM unnest(ARRAY[
    '{"status": "started", "timestamp": "2025-01-06T10:00:00Z"}',
    '{"status": "waiting", "timestamp": "2025-01-06T10:01:00Z", "reason": "rate limit"}',
    '{"status": "processing", "timestamp": "2025-01-06T10:03:00Z"}',
    '{"status": "waiting", "timestamp": "2025-01-06T10:05:00Z", "reason": "maintenance"}']) AS u (payload);
END
$$;
CREATE FUNCTION pg_temp.waited() RETURNS text LANGUAGE sql RETURN (
  SELECT string_agg(concat_ws(' ', w.reason, w.waits, w.seconds), ', ' ORDER BY w.reason)
  FROM tallymark.waiting_times('kept', '2025-01-06 10:15Z') AS w);
CREATE FUNCTION pg_temp.prune() RETURNS text LANGUAGE sql RETURN
  tallymark.prune_job('kept', now() + interval '1 day', 0) ->> 'events';

SELECT is(pg_temp.waited(), 'maintenance 1 600.000, rate limit 1 120.000', 'before');
SELECT is(pg_temp.prune(), '4', 'all events are pruned');
SELECT is(pg_temp.waited(), 'maintenance 1 600.000, rate limit 1 120.000', 'after');
DO $$ BEGIN PERFORM tallymark.merge_progress('kept', '{"status": "processing", "timestamp": "2025-01-06T10:08:00Z"}'); END $$;
SELECT is(pg_temp.waited(), 'maintenance 1 180.000, rate limit 1 120.000', 'an update ends a wait whose begin was pruned');
DO $$ BEGIN PERFORM tallymark.merge_progress('kept', '{"status": "processing", "timestamp": "2025-01-06T10:01:30Z"}'); END $$;
SELECT is(pg_temp.waited(), 'maintenance 1 180.000, rate limit 1 30.000', 'one that comes late shortens a wait');
DO $$ BEGIN PERFORM tallymark.merge_progress('kept',
  '{"status": "waiting", "timestamp": "2025-01-06T10:06:00Z", "reason": "rate limit"}'); END $$;
SELECT is(pg_temp.waited(), 'maintenance 1 60.000, rate limit 2 150.000', 'or goes on with it for another reason');
SELECT is(pg_temp.prune(), '3', 'they are pruned, too');
SELECT is(pg_temp.waited(), 'maintenance 1 60.000, rate limit 2 150.000', 'and the sums stay');
SELECT ok(tallymark.verify_job('kept'), 'the job verifies');

SELECT * FROM finish();
ROLLBACK;
