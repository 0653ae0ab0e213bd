-- Makes updates of a row of the original's table of jobs: all that an import adds to the job, and all that is wrong
-- with the row. The updates are valid whatever the row says, so that an import loses none of the rest.

CREATE OR REPLACE FUNCTION tallymark.judge_original(original jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  c_first CONSTANT text[] := '{processedItems,groupCount,projectCount}'; -- the counts beside itemsByType
  c_most_types CONSTANT integer := 200; -- of an update
  v_row CONSTANT jsonb := tallymark.original_row(judge_original.original);
  v_times CONSTANT jsonb := v_row -> 'times';
  v_counts CONSTANT jsonb := tallymark.original_counts(v_row #> '{progress,itemsByType}');
  v_fields CONSTANT jsonb := tallymark.original_fields(v_row -> 'progress');
  v_events CONSTANT jsonb := tallymark.original_events(v_row #> '{progress,timeline}', coalesce(
    (v_times ->> 'startedAt')::timestamptz, (v_times ->> 'updatedAt')::timestamptz,
    (v_times ->> 'finishedAt')::timestamptz, statement_timestamp()));
  v_problems jsonb := (v_row -> 'problems') || (v_counts -> 'problems') || (v_fields -> 'problems')
    || (v_events -> 'problems');
  v_mended jsonb := (v_row -> 'mended') || (v_counts -> 'mended') || (v_fields -> 'mended') || (v_events -> 'mended');
  v_kept jsonb := (v_row -> 'kept') || (v_counts -> 'kept') || (v_fields -> 'kept') || (v_events -> 'kept');
  v_said CONSTANT text := CASE jsonb_typeof(v_row -> 'status') WHEN 'string' THEN v_row ->> 'status' END;
  v_is_queued CONSTANT boolean := (lower(btrim(v_said) COLLATE "C") = 'queued') IS TRUE;
  v_is_empty CONSTANT boolean := v_is_queued AND v_times - 'updatedAt' = '{}' AND v_kept = '{}'
    AND v_row -> 'resumeState' = 'null' AND v_fields -> 'taken' = '{}' AND v_counts -> 'taken' = '{}'
    AND v_events -> 'taken' = '[]';
  v_status text := tallymark.original_status(v_said);
  v_times_of_events timestamptz[];
  v_ended boolean;
  v_at timestamptz;
  v_began timestamptz;
  v_first jsonb;
BEGIN
  -- 1. The status. A job that nobody has reported on is queued, so one with progress cannot be.
  IF v_status IS NULL AND v_is_queued THEN
    v_status := 'paused';
    IF NOT v_is_empty THEN
      v_mended := v_mended || '{"field": "status", "mended": "was queued, with progress; taken as paused"}';
    END IF;
  ELSIF v_status IS NULL THEN
    v_status := CASE WHEN v_times ? 'finishedAt' THEN 'cancelled' ELSE 'paused' END;
    v_problems := jsonb_build_object('field', 'status', 'problem',
      format('must be the status of a job, such as running or finished, not %s; taken as %s',
        left((v_row -> 'status')::text, 100), v_status)) || v_problems;
    v_kept := v_kept || jsonb_build_object('status', v_row -> 'status');
  END IF;
  v_ended := tallymark.is_terminal(tallymark.job_status(v_status));

  -- 2. The times: of the status and all fields, and of the beginning.
  SELECT ARRAY[min((e.value ->> 'timestamp')::timestamptz), max((e.value ->> 'timestamp')::timestamptz)]
  INTO v_times_of_events FROM jsonb_array_elements(v_events -> 'taken') AS e;
  v_at := coalesce(CASE WHEN v_ended THEN (v_times ->> 'finishedAt')::timestamptz END,
    (v_times ->> 'updatedAt')::timestamptz, v_times_of_events[2], (v_times ->> 'startedAt')::timestamptz,
    (v_times ->> 'finishedAt')::timestamptz);
  v_began := coalesce((v_times ->> 'startedAt')::timestamptz, v_times_of_events[1], v_at);
  IF v_began > v_at THEN
    v_began := v_at;
    IF v_times ? 'startedAt' THEN
      v_mended := v_mended
        || '{"field": "startedAt", "mended": "is later than the end or the last update; taken as that"}';
      v_kept := v_kept || jsonb_build_object('startedAt', v_times -> 'startedAt');
    END IF;
  END IF;
  IF v_ended AND NOT v_times ? 'finishedAt' AND NOT v_kept ? 'finishedAt' THEN
    v_mended := v_mended || '{"field": "finishedAt", "mended": "is missing; the time of the last update is used"}';
  ELSIF NOT v_ended AND v_times ? 'finishedAt' THEN
    v_mended := v_mended || jsonb_build_object('field', 'finishedAt', 'mended',
      format('is given though the job has not ended, but is %s', tallymark.job_status(v_status)));
    v_kept := v_kept || jsonb_build_object('finishedAt', v_times -> 'finishedAt');
  END IF;

  -- 3. The updates. A count is a running total of the unnamed worker: the crawler's own running totals go on from it,
  -- its increments are added to it, and a later import of the row raises it. An update without a time counts as of now.
  v_first := tallymark.without_nulls(jsonb_build_object('status', 'started',
      'timestamp', tallymark.iso_timestamp(v_began)))
    || (SELECT coalesce(jsonb_object_agg(f.key, f.value), '{}') FROM jsonb_each(v_fields -> 'taken') AS f
      WHERE f.key = ANY (c_first));
  RETURN jsonb_build_object('id', v_row -> 'id', 'digest', v_row -> 'digest', 'isEmpty', v_is_empty,
    'counts', (
      SELECT coalesce(jsonb_agg(CASE c.number WHEN 0 THEN v_first ELSE v_first - c_first END
        || jsonb_build_object('counting', 'cumulative', 'itemsByType', c.items) ORDER BY c.number),
        jsonb_build_array(v_first))
      FROM (
        SELECT n.number, jsonb_object_agg(n.key, n.value) AS items
        FROM (SELECT t.key, t.value, (row_number() OVER (ORDER BY t.key COLLATE "C") - 1) / c_most_types AS number
          FROM jsonb_each(v_counts -> 'taken') AS t) AS n
        GROUP BY n.number
      ) AS c),
    'update', tallymark.without_nulls(jsonb_build_object('status', v_status,
      'timestamp', tallymark.iso_timestamp(v_at), 'progress', v_row -> 'resumeState'))
      || ((v_fields -> 'taken') - c_first),
    'events', v_events -> 'taken', 'problems', v_problems, 'mended', v_mended, 'kept', v_kept,
    'taken', (
      SELECT coalesce(jsonb_agg(t.name ORDER BY t.name COLLATE "C"), '[]')
      FROM (
        SELECT 'progress.' || f.key AS name FROM jsonb_each(v_fields -> 'taken') AS f
        UNION ALL SELECT o.key FROM jsonb_each(v_times) AS o WHERE NOT v_kept ? o.key
        UNION ALL SELECT u.name FROM (VALUES
          ('status', NOT v_kept ? 'status'), ('resumeState', v_row -> 'resumeState' <> 'null'),
          ('progress.itemsByType', v_counts -> 'taken' <> '{}'), ('progress.timeline', v_events -> 'taken' <> '[]')
        ) AS u (name, is_taken) WHERE u.is_taken) AS t));
END
$$;

COMMENT ON FUNCTION tallymark.judge_original(jsonb) IS
'Makes updates of a row of the original''s table of jobs.
Arguments: original: the row, as import_original_row takes it.
Returns: {"id", "digest": by which the same row is known again, "isEmpty": whether nobody has reported on the job,
"counts": updates with the counts, most often one, as of the beginning, "update": one with status, fields and resume
state, as of the end or the last update, "events": the timeline as append_own_events takes it, "taken": the names of
what is in these, "problems": [{"field", "problem"}] for what is not, "mended": [{"field", "mended"}] for what was
changed, "kept": what is not in them as it was, by its place}. The updates have no updateId yet.';

REVOKE ALL ON FUNCTION tallymark.judge_original(jsonb) FROM PUBLIC;
