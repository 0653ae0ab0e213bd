-- Tells how many items a job had processed at which time since its start.

CREATE OR REPLACE FUNCTION tallymark.run_pace(job_id text) RETURNS tallymark.job_pace
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  c_parts CONSTANT integer := 100;
  v_job tallymark.job;
  v_last bigint;
  v_pace tallymark.job_pace;
  v_pruned jsonb;
  v_workers jsonb;
  v_by_total boolean;
  v_done numeric; -- by the pruned updates
  v_all numeric;
  v_seconds numeric;
BEGIN
  SELECT p.* INTO v_pace FROM tallymark.job_pace AS p WHERE p.job_id = run_pace.job_id;
  SELECT j.last_seq INTO v_last FROM tallymark.job AS j WHERE j.id = run_pace.job_id;
  IF v_pace.seq = v_last THEN -- as a rule, and without its state
    RETURN v_pace;
  END IF;
  SELECT j.* INTO v_job FROM tallymark.job AS j WHERE j.id = run_pace.job_id;
  IF v_job.started_at IS NULL THEN
    RETURN v_pace;
  END IF;
  SELECT b.state INTO v_pruned FROM tallymark.job_baseline AS b WHERE b.job_id = run_pace.job_id;
  v_workers := nullif(v_pruned -> 'workers', 'null');
  v_by_total := v_job.progress ? 'processedItems';
  v_done := tallymark.processed_items(coalesce(v_pruned -> 'progress', '{}'));
  v_all := tallymark.processed_items(v_job.progress);
  v_seconds := extract(epoch FROM coalesce(v_job.finished_at, v_job.newest_at) - v_job.started_at);
  WITH reported AS (
    -- What each worker had reached by the pruned updates; see count_by_worker.
    SELECT '-infinity'::timestamptz AS at, 0::bigint AS seq, w.key AS counter,
      (w.value -> 'processedItems')::numeric AS count, true AS is_total
    FROM jsonb_each(coalesce(v_workers, jsonb_build_object('',
      jsonb_build_object('processedItems', v_pruned #> '{progress,processedItems}')))) AS w
    WHERE v_by_total AND jsonb_typeof(w.value -> 'processedItems') = 'number'
    UNION ALL
    SELECT '-infinity', 0, w.key || ' ' || t.key, t.value::numeric, true
    FROM jsonb_each(v_workers) AS w, jsonb_each(w.value -> 'itemsByType') AS t
    WHERE NOT v_by_total
    UNION ALL
    SELECT e.occurred_at, e.seq, coalesce(e.payload ->> 'workerId', ''), (e.payload -> 'processedItems')::numeric, true
    FROM tallymark.job_event AS e
    WHERE e.job_id = run_pace.job_id AND v_by_total AND e.payload ? 'processedItems'
    UNION ALL
    SELECT e.occurred_at, e.seq, coalesce(e.payload ->> 'workerId', '') || ' ' || t.key, t.value::numeric,
      e.payload ->> 'counting' IS NOT DISTINCT FROM 'cumulative'
    FROM tallymark.job_event AS e, jsonb_each(e.payload -> 'itemsByType') AS t
    WHERE e.job_id = run_pace.job_id AND NOT v_by_total AND e.payload ? 'itemsByType'
    UNION ALL
    SELECT e.occurred_at, e.seq, '', t.value::numeric, false
    FROM tallymark.job_event AS e, jsonb_each(e.details -> 'counted') AS t
    WHERE e.job_id = run_pace.job_id AND NOT v_by_total AND e.payload ? 'itemKeys'
    UNION ALL
    SELECT e.occurred_at, e.seq, '', coalesce((e.details -> 'newGroups')::numeric, 0)
      + coalesce((e.details -> 'newProjects')::numeric, 0), false
    FROM tallymark.job_event AS e
    WHERE e.job_id = run_pace.job_id AND NOT v_by_total AND e.payload ? 'areas'
  ), gained AS (
    SELECT r.at, r.seq, CASE WHEN NOT r.is_total THEN r.count ELSE greatest(r.count - coalesce(
      max(r.count) FILTER (WHERE r.is_total) OVER (PARTITION BY r.counter ORDER BY r.at, r.seq
        ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0), 0) END AS items
    FROM reported AS r
  ), points AS (
    SELECT extract(epoch FROM g.at - v_job.started_at) AS seconds,
      v_done + sum(g.items) OVER (ORDER BY g.at, g.seq) AS items
    FROM gained AS g WHERE g.seq > 0
    UNION ALL
    SELECT k.seconds, k.items FROM unnest(v_pace.at_seconds, v_pace.items) AS k (seconds, items)
    UNION ALL
    SELECT extract(epoch FROM (v_pruned ->> 'newest_at')::timestamptz - v_job.started_at), v_done
    WHERE v_pruned ? 'newest_at'
    UNION ALL
    SELECT v_seconds, v_all
  ), parts AS (
    SELECT max(p.seconds) AS seconds, max(least(p.items, v_all)) AS items FROM points AS p
    GROUP BY least(ceil(greatest(p.seconds, 0) * c_parts / greatest(v_seconds, 0.000001)), c_parts)
  ), steps AS (
    SELECT s.seconds, s.items, max(s.items) OVER (ORDER BY s.seconds ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
    FROM parts AS s
  )
  SELECT v_job.id, v_job.last_seq, coalesce(array_agg(trim_scale(s.seconds) ORDER BY s.seconds), '{}'),
    coalesce(array_agg(trim_scale(s.items) ORDER BY s.seconds), '{}')
  INTO v_pace.job_id, v_pace.seq, v_pace.at_seconds, v_pace.items
  FROM steps AS s WHERE s.items > coalesce(s.before, 0);
  RETURN v_pace;
END
$$;

COMMENT ON FUNCTION tallymark.run_pace(text) IS
'Tells how many items (processed_items) a job had processed at which time since its start, by its crawlers'' clocks. The
run is cut into 100 parts, and each has what was reached at its end.
Arguments: job_id: a job.
Returns: a row of tallymark.job_pace: what was noted for this last event, else computed from the ledger; for pruned
events from what was noted before. All is null where the job is unknown or has not started.
Cost: reads the job''s ledger, but where it was noted.';

REVOKE ALL ON FUNCTION tallymark.run_pace(text) FROM PUBLIC;
