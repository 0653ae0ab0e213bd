-- Tells how fast a job proceeds and when it will be done.

CREATE OR REPLACE FUNCTION tallymark.job_rate(
  job_id text, recent interval DEFAULT '5 minutes', as_of timestamptz DEFAULT NULL
) RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  c_parts CONSTANT integer := 10;
  c_t CONSTANT numeric := 2.262; -- Student's t with 9 degrees of freedom: 95 % lie between -t and t
  c_look_back CONSTANT bigint := 1000;
  v_now CONSTANT timestamptz := coalesce(job_rate.as_of, statement_timestamp());
  v_recent CONSTANT interval := coalesce(job_rate.recent, '5 minutes');
  v_job tallymark.job;
  v_first bigint;
  v_begin timestamptz;
  v_seconds numeric;
  v_updates bigint;
  v_rate numeric;
  v_error numeric;
  v_left numeric;
  v_extent record;
  v_by_books boolean;
  v_counted text[] := '{itemsByType}';
BEGIN
  SELECT j.* INTO v_job FROM tallymark.job AS j WHERE j.id = job_rate.job_id;
  IF NOT FOUND THEN
    PERFORM tallymark.refuse_unknown_job(job_rate.job_id);
  ELSIF v_recent <= '0'::interval THEN
    PERFORM tallymark.refuse_query('window', 'must be greater than 0');
  END IF;
  v_extent := tallymark.progress_extent(v_job.progress);
  v_left := v_extent.total - v_extent.done;
  -- What is left goes by the books: an item that fails or is skipped is not left any more.
  v_by_books := v_extent.total IS NOT NULL AND NOT v_job.progress ? 'totalItems';
  IF v_by_books THEN
    v_counted := '{itemsByType,failedByType,skippedByType}';
  END IF;
  -- The window of a young job begins with its first event; the items of that event were done before it.
  SELECT greatest(v_now - v_recent, min(e.recorded_at)) INTO v_begin
  FROM tallymark.job_event AS e WHERE e.job_id = job_rate.job_id AND e.seq = 1;
  v_seconds := extract(epoch FROM v_now - v_begin);
  IF v_job.status = 'running' AND v_seconds > 0 THEN
    v_first := tallymark.seq_since(job_rate.job_id, v_begin);
    WITH reported AS (
      -- The running totals of each worker; where there are none, the counts by type, which may be totals or increments.
      SELECT e.seq, e.recorded_at, coalesce(e.payload ->> 'workerId', '') AS counter,
        (e.payload -> 'processedItems')::numeric AS count, true AS is_total
      FROM tallymark.job_event AS e
      WHERE e.job_id = job_rate.job_id AND e.seq >= v_first - c_look_back AND e.recorded_at <= v_now
        AND v_job.progress ? 'processedItems' AND NOT v_by_books AND e.payload ? 'processedItems'
      UNION ALL
      SELECT e.seq, e.recorded_at, concat_ws(' ', coalesce(e.payload ->> 'workerId', ''), m.member, t.key),
        t.value::numeric, e.payload ->> 'counting' IS NOT DISTINCT FROM 'cumulative'
      FROM tallymark.job_event AS e, unnest(v_counted) AS m (member), jsonb_each(e.payload -> m.member) AS t
      WHERE e.job_id = job_rate.job_id AND e.seq >= v_first - c_look_back AND e.recorded_at <= v_now
        AND (v_by_books OR NOT v_job.progress ? 'processedItems') AND e.payload ?| v_counted
      UNION ALL
      -- Items that were counted by their keys.
      SELECT e.seq, e.recorded_at, '', t.value::numeric, false
      FROM tallymark.job_event AS e, jsonb_each(e.details -> 'counted') AS t
      WHERE e.job_id = job_rate.job_id AND e.seq >= v_first - c_look_back AND e.recorded_at <= v_now
        AND (v_by_books OR NOT v_job.progress ? 'processedItems') AND e.payload ? 'itemKeys'
    ), gained AS (
      SELECT r.seq, r.recorded_at, CASE WHEN NOT r.is_total THEN r.count ELSE greatest(r.count - coalesce(
          max(r.count) FILTER (WHERE r.is_total) OVER (PARTITION BY r.counter ORDER BY r.seq
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING),
          -- A worker's earlier total is not known, unless these are all events there ever were.
          CASE WHEN v_first > c_look_back OR v_job.pruned_seq > 0 THEN r.count ELSE 0 END), 0) END AS items
      FROM reported AS r
    ), parts AS (
      SELECT n.part, count(DISTINCT g.seq) AS updates, coalesce(sum(g.items), 0) * c_parts / v_seconds AS rate
      FROM generate_series(0, c_parts - 1) AS n (part)
      LEFT JOIN gained AS g ON g.recorded_at > v_begin
        AND n.part = ceil(extract(epoch FROM g.recorded_at - v_begin) * c_parts / v_seconds) - 1
      GROUP BY n.part
    )
    SELECT sum(p.updates), avg(p.rate), stddev_samp(p.rate) / sqrt(c_parts) * c_t INTO v_updates, v_rate, v_error
    FROM parts AS p;
  END IF;
  RETURN tallymark.rate_document(v_rate, CASE WHEN v_updates > 1 THEN v_error END,
    CASE WHEN v_left > 0 THEN v_left ELSE v_left * 0 END, v_now)
    || jsonb_build_object('id', v_job.id, 'windowSeconds', trim_scale(round(extract(epoch FROM v_recent), 3)),
      'updates', coalesce(v_updates, 0));
END
$$;

COMMENT ON FUNCTION tallymark.job_rate(text, interval, timestamptz) IS
'Tells how fast a running job has proceeded over a recent window, and when it will be done at that rate. The window
goes by the time of recording, on the server''s clock, so a crawler whose clock is slow does not make it empty. Events
are recorded in the order of their numbers, so the window needs no index. Reports that a crawler kept back count when
they arrive. For the interval the window is cut into 10 parts, whose rates are taken as a sample: the mean lies within
Student''s t times the standard error (95 %, t = 2.262). Parts that follow each other are not independent, so take the
interval as a hint. With fewer than 2 updates there is none.
Arguments: job_id: a registered job; recent: the length of the window, greater than 0, null for 5 minutes; as_of: the
end of the window, null for now.
Returns: {"id", "windowSeconds", "updates": how many updates in the window gave counts, "itemsPerSecond", "low" and
"high": the 95 % confidence interval of the rate, "itemsLeft", "etaSeconds", "etaSecondsLow", "etaSecondsHigh", "eta":
the instant, where it is within a century}. A value that is not known is null, and so is etaSecondsHigh where the job
may never be done. The rate is that of processed_items; where
what is left goes by the books (see progress_extent), that of the items that were done, failed or were skipped. A job
that is not running has no rate; a running job without updates has the rate 0.
Errors: TK404 where there is no such job; TK400 where job_id is null, empty or too long, or where recent is not
greater than 0.
Callers: tallymark_reader, tallymark_admin.';

REVOKE ALL ON FUNCTION tallymark.job_rate(text, interval, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.job_rate(text, interval, timestamptz) TO tallymark_reader, tallymark_admin;
