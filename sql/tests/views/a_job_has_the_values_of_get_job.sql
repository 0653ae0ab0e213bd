-- The view shows what get_job gives, column by column, for a job of every sort and for one that nobody reported on.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(8);
\ir ../helpers.psql

DO $$ BEGIN PERFORM pg_temp.make_job_of_every_sort(); END $$;
DO $$ BEGIN
  PERFORM tallymark.merge_progress('job', '{"updateId": "z", "status": "paused", "message": "m",
    "operationType": "discovery", "currentDataType": "issues", "lastProcessedId": "i9", "progress": {"page": 2},
    "error": {"type": "T", "message": "e"}, "color": "green"}');
  PERFORM tallymark.request_command('job', 'resume');
  PERFORM tallymark.create_job('nobody', '{"account": "acme"}');
END $$;

CREATE FUNCTION pg_temp.shown(job_id text) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
  RETURN (SELECT jsonb_build_object('id', j.id, 'status', j.status, 'progress', j.progress, 'resumeState', j.resume_state,
    'lastSeq', j.last_seq, 'percentage', j.percentage, 'summary', j.summary, 'books', j.books, 'shortfall', j.shortfall,
    'startedAt', tallymark.iso_timestamp(j.started_at), 'finishedAt', tallymark.iso_timestamp(j.finished_at),
    'updatedAt', tallymark.iso_timestamp(j.updated_at), 'createdAt', tallymark.iso_timestamp(j.created_at),
    'attributes', j.attributes, 'command', j.command)
  FROM tallymark.jobs AS j WHERE j.id = shown.job_id);
END
$$;

SELECT is(pg_temp.shown(j.id), tallymark.get_job(j.id) #- '{progress,timeline}', 'the same for ' || j.id)
FROM (VALUES ('job'), ('nobody')) AS j (id);

SELECT results_eq(
  $$SELECT stage, operation_type, current_data_type, processed_items, total_items, items_by_type, message, error,
    last_processed_id, facets, pruned_seq FROM tallymark.jobs WHERE id = 'job'$$,
  $$SELECT p ->> 'stage', p ->> 'operationType', p ->> 'currentDataType', (p ->> 'processedItems')::bigint,
    (p ->> 'totalItems')::bigint, p -> 'itemsByType', p ->> 'message', p -> 'error', p ->> 'lastProcessedId',
    '{"stage": "s", "operationType": "discovery", "currentDataType": "issues", "itemTypes": ["issues"]}'::jsonb, 0::bigint
    FROM (SELECT tallymark.get_job('job') -> 'progress' AS p) AS g$$,
  'and what has a column of its own is that member of progress');
SELECT is(j.progress ->> 'color', 'green', 'what has none is in progress') FROM tallymark.jobs AS j WHERE j.id = 'job';
SELECT results_eq(
  $$SELECT status, processed_items, total_items, percentage, items_by_type, message, error, last_seq, started_at
    FROM tallymark.jobs WHERE id = 'nobody'$$,
  $$VALUES ('queued', 0::bigint, NULL::bigint, NULL::numeric, '{}'::jsonb, NULL, NULL::jsonb, 0::bigint,
    NULL::timestamptz)$$,
  'of a job without reports nothing is known, but for its counts, which are empty');

DO $$ BEGIN
  PERFORM tallymark.create_job('by type');
  PERFORM tallymark.merge_progress('by type', '{"updateId": "a", "status": "processing", "totalItems": 40,
    "itemsByType": {"issues": 7, "notes": 3}}');
END $$;
SELECT results_eq(
  $$SELECT processed_items, percentage, summary FROM tallymark.jobs WHERE id = 'by type'$$,
  $$VALUES (10::bigint, 25.0, '10/40 items (25%)')$$,
  'the processed items are those that the percentage and the summary are computed from');

-- 1025 workers with the largest total each are more than a bigint holds.
DO $$ BEGIN PERFORM tallymark.create_job('huge'); END $$;
DO $$ BEGIN
  FOR n IN 1..2 LOOP
    PERFORM tallymark.merge_progress_batch((SELECT jsonb_agg(jsonb_build_object('taskId', 'huge', 'updateId', n || '/' || w,
      'workerId', n || '/' || w, 'processedItems', 9007199254740991)) FROM generate_series(1, 513) AS w));
  END LOOP;
END $$;
SELECT ok((tallymark.get_job('huge', 0) #>> '{progress,processedItems}')::numeric > 9223372036854775807,
  'a sum may be too large for bigint');
SELECT is(j.processed_items, 9223372036854775807, 'and is then shown as the largest bigint, without an error')
FROM tallymark.jobs AS j WHERE j.id = 'huge';

SELECT * FROM finish();
ROLLBACK;
