-- The view shows what timeline gives, and beside it what the update was.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(5);
\ir ../helpers.psql

DO $$ BEGIN
  PERFORM pg_temp.make_job_of_every_sort();
  PERFORM tallymark.merge_progress('job', '{"updateId": "f", "status": "STARTED", "message": "again", "workerId": "w"}');
  PERFORM tallymark.request_command('job', 'pause', 'alice');
  PERFORM tallymark.merge_progress('job', '{"message": "neither a status nor an id"}');
END $$;

SELECT results_eq(
  $$SELECT seq, happened_at, kind, details, recorded_at FROM tallymark.events WHERE job_id = 'job' ORDER BY seq$$,
  $$SELECT t.* FROM tallymark.timeline('job') AS t$$,
  'the columns of timeline have its values');
SELECT results_eq(
  $$SELECT e.seq, e.status, e.message, e.worker_id, e.update_id, e.payload ->> 'processedItems'
    FROM tallymark.events AS e WHERE e.job_id = 'job' ORDER BY e.seq$$,
  $$VALUES (1::bigint, 'started', NULL, NULL, 'a', NULL), (2, 'processing', NULL, NULL, 'b', '100'),
    (3, 'processing', 'late', NULL, 'c', '90'), (4, 'processing', NULL, 'w', 'd', '7'), (5, NULL, NULL, NULL, NULL, NULL),
    (6, 'completed', NULL, NULL, 'e', NULL), (7, 'started', 'again', 'w', 'f', NULL), (8, NULL, NULL, NULL, NULL, NULL),
    (9, 'processing', 'neither a status nor an id', NULL, NULL, NULL)$$,
  'and each says which update it was; an event of the crawler''s own and a command are none');
SELECT is(e.details ->> 'requestedBy', 'alice', 'a command says who gave it') FROM tallymark.events AS e
WHERE e.job_id = 'job' AND e.kind = 'command_requested';
SELECT is(tallymark.update_status(NULL), NULL, 'what is no update has no status');

-- The first two events are pruned.
DO $$ BEGIN
  PERFORM tallymark.merge_progress('job', '{"updateId": "g", "status": "completed"}');
  PERFORM tallymark.prune_job('job', 'infinity', 8, 1000);
END $$;
SELECT results_eq(
  $$SELECT min(e.seq) - 1, j.last_seq, j.items_by_type
    FROM tallymark.jobs AS j JOIN tallymark.events AS e ON e.job_id = j.id
    WHERE j.id = 'job' GROUP BY j.last_seq, j.items_by_type$$,
  $$SELECT j.pruned_seq, 10::bigint, '{"issues": 80}'::jsonb FROM tallymark.jobs AS j
    WHERE j.id = 'job' AND j.pruned_seq > 0$$,
  'pruned events are gone, up to pruned_seq; what they counted stays');

SELECT * FROM finish();
ROLLBACK;
