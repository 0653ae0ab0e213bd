-- Others build on the views. So their columns keep their names, types and order, and new ones come at the end.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(4);

CREATE TEMPORARY VIEW view_column AS
SELECT c.relname, a.attname, a.attnum, format_type(a.atttypid, a.atttypmod) AS type,
  col_description(c.oid, a.attnum) AS comment
FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0
WHERE c.relnamespace = 'tallymark'::regnamespace AND c.relkind = 'v';

SELECT is((SELECT string_agg(v.attname || ' ' || v.type, ', ' ORDER BY v.attnum) FROM view_column AS v
    WHERE v.relname = 'jobs' AND v.attnum <= 28),
  'id text, status text, stage text, operation_type text, current_data_type text, processed_items bigint, '
  'total_items bigint, percentage numeric, summary text, items_by_type jsonb, message text, error jsonb, last_processed_id text, '
  'resume_state jsonb, command text, attributes jsonb, progress jsonb, facets jsonb, last_seq bigint, pruned_seq bigint, '
  'created_at timestamp with time zone, started_at timestamp with time zone, updated_at timestamp with time zone, '
  'finished_at timestamp with time zone, books jsonb, shortfall jsonb, parent text, series text', 'those of jobs');
SELECT is((SELECT string_agg(v.attname || ' ' || v.type, ', ' ORDER BY v.attnum) FROM view_column AS v
    WHERE v.relname = 'events' AND v.attnum <= 11),
  'job_id text, seq bigint, kind text, status text, happened_at timestamp with time zone, '
  'recorded_at timestamp with time zone, message text, worker_id text, update_id text, details jsonb, payload jsonb',
  'those of events');
SELECT is((SELECT string_agg(v.attname || ' ' || v.type, ', ' ORDER BY v.attnum) FROM view_column AS v
    WHERE v.relname = 'current_alerts' AND v.attnum <= 6),
  'job_id text, kind text, opened_at timestamp with time zone, told_at timestamp with time zone, says text, facts jsonb',
  'those of current_alerts');
SELECT is_empty($$ SELECT relname, attname FROM view_column WHERE coalesce(comment, '') = '' $$, 'each has a comment');

SELECT * FROM finish();
ROLLBACK;
