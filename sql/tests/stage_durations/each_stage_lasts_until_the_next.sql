-- There is one row for each time that a stage was entered, whatever kind of event did it. Late updates enter none.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(4);

DO $$
BEGIN
  PERFORM tallymark.create_job(id) FROM unnest('{stages,no stage}'::text[]) AS id;
  PERFORM tallymark.merge_progress('stages', u) FROM jsonb_array_elements('[
    {"timestamp": "2025-01-06T10:00:00Z", "status": "started"},
    {"timestamp": "2025-01-06T10:01:00Z", "stage": "a"},
    {"timestamp": "2025-01-06T10:03:00Z", "stage": "b", "error": "e",
      "timeline": [{"timestamp": "2025-01-06T10:03:00Z", "event": "own", "details": {"toStage": "z"}}]},
    {"timestamp": "2025-01-06T10:02:00Z", "stage": "late"},
    {"timestamp": "2025-01-06T10:04:00Z", "stage": "b", "processedItems": 5},
    {"timestamp": "2025-01-06T10:05:00.5Z", "stage": "a", "operationType": "discovery"}]') AS u;
END
$$;
CREATE FUNCTION pg_temp.stages(id text) RETURNS text LANGUAGE sql RETURN (
  SELECT string_agg(concat_ws(' ', s.stage, s.seq, to_char(s.started_at AT TIME ZONE 'UTC', 'MI:SS'),
    coalesce(to_char(s.ended_at AT TIME ZONE 'UTC', 'MI:SS'), 'open'), s.seconds), ', ' ORDER BY s.seq)
  FROM tallymark.stage_durations(id, '2025-01-06 10:10:00Z') AS s);

SELECT is(pg_temp.stages('stages'), 'a 2 01:00 03:00 120.000, b 3 03:00 05:00 120.500, a 7 05:00 open 299.500',
  'the last one is open');
SELECT is(pg_temp.stages('no stage'), NULL, 'a job without stages');
DO $$ BEGIN PERFORM tallymark.merge_progress('stages', '{"timestamp": "2025-01-06T10:06:00Z", "status": "completed"}');
  END $$;
SELECT is(pg_temp.stages('stages'), 'a 2 01:00 03:00 120.000, b 3 03:00 05:00 120.500, a 7 05:00 06:00 59.500',
  'until the job ends');
SELECT throws_ok($$ SELECT * FROM tallymark.stage_durations('nobody') $$, 'TK404', NULL, 'an unknown job is refused');

SELECT * FROM finish();
ROLLBACK;
