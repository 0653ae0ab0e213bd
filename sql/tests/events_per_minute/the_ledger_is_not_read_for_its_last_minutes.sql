-- The events of the last minutes are found by the summary of pages, however long the ledger is.
-- Counted are the blocks that were read, which do not depend on the machine.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(3);
\ir ../helpers.psql

-- Rows that other tests rolled back are still in the table's files, and would be counted, too.
TRUNCATE tallymark.job_event;
INSERT INTO tallymark.job_event (job_id, seq, event, occurred_at, recorded_at, payload)
SELECT 'job', n, 'progress_update', r, r, jsonb_build_object('message', repeat('m', 100))
FROM (SELECT n, '2025-01-06 10:00:00+00'::timestamptz + n * interval '1 second' AS r
  FROM generate_series(1, 100000) AS n) AS s;
DO $$ BEGIN PERFORM brin_summarize_new_values('tallymark.job_event_recorded_idx'); END $$;
ANALYZE tallymark.job_event;

DO $$ BEGIN PERFORM FROM tallymark.events_per_minute(); PERFORM tallymark.throughput_page(); END $$;
SET LOCAL plan_cache_mode = force_generic_plan;

SELECT cmp_ok(pg_relation_size('tallymark.job_event') / 8192, '>', 2000::bigint, 'the ledger is long');
SELECT cmp_ok(pg_temp.blocks('tallymark.events_per_minute(10, NULL, ''2025-01-07 13:46:00+00'')'), '<', 400::bigint,
  'little of it is read');
SELECT cmp_ok(pg_temp.blocks('tallymark.throughput_page(30)'), '<', 400::bigint, 'also for the page');

SELECT * FROM finish();
ROLLBACK;
