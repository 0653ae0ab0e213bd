-- Finds when a job waited, from its ledger; for pruned updates, from what prune_job kept of them.

CREATE OR REPLACE FUNCTION tallymark.wait_spans(job_id text, up_to_seq bigint DEFAULT NULL)
RETURNS TABLE (
  reason text, from_at timestamptz, from_key text, to_at timestamptz, to_ends boolean, to_key text
)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  v_baseline CONSTANT jsonb := (
    SELECT b.state FROM tallymark.job_baseline AS b WHERE b.job_id = wait_spans.job_id);
  v_ends CONSTANT boolean := coalesce(tallymark.is_terminal(v_baseline ->> 'status'), false);
  v_at CONSTANT timestamptz := (v_baseline ->> 'newest_at')::timestamptz;
  v_key CONSTANT text := coalesce(v_baseline #>> '{clocks,status,1}', v_baseline ->> 'newest_key');
BEGIN
  -- Most jobs have never waited and are done here: see merge_state.
  IF NOT EXISTS (SELECT 1 FROM tallymark.job AS j
    WHERE j.id = wait_spans.job_id AND ('timestamp' = ANY (j.newest_fields) OR j.clocks ? 'timestamp'))
  THEN
    RETURN;
  END IF;
  RETURN QUERY
  -- Updates in the order that decides the status: by time; at the same time, an update that ends the job comes last;
  -- then by key. Each status holds until the next update, from any worker.
  WITH kept AS MATERIALIZED (
    SELECT s.value ->> 0 AS reason, (s.value ->> 1)::timestamptz AS from_at, (s.value ->> 2) COLLATE "C" AS from_key,
      (s.value ->> 3)::timestamptz AS to_at, (s.value ->> 4)::boolean AS to_ends, (s.value ->> 5) COLLATE "C" AS to_key
    FROM jsonb_array_elements(v_baseline #> '{waits,spans}') AS s
  ), updates AS MATERIALIZED (
    SELECT e.occurred_at AS at, coalesce(tallymark.is_terminal(e.status), false) AS ends, e.update_key AS key,
      e.status = 'waiting' AS waits, nullif(e.payload ->> 'reason', '') AS reason
    FROM (
      SELECT n.occurred_at, n.update_key, n.payload,
        CASE WHEN n.payload @> '{"status": "processing"}' THEN 'running'
          ELSE tallymark.job_status(tallymark.update_status(n.payload)) END AS status
      FROM tallymark.job_event AS n
      WHERE n.job_id = wait_spans.job_id AND n.payload IS NOT NULL
        AND (wait_spans.up_to_seq IS NULL OR n.seq <= wait_spans.up_to_seq)
    ) AS e
  ), points AS (
    SELECT k.from_at AS at, false AS ends, k.from_key AS key, true AS waits, k.reason FROM kept AS k
    UNION ALL
    SELECT k.to_at, k.to_ends, k.to_key, false, NULL FROM kept AS k WHERE k.to_at IS NOT NULL
    UNION ALL
    SELECT v_at, v_ends, v_key COLLATE "C", false, NULL
    WHERE v_at IS NOT NULL AND v_baseline ->> 'status' <> 'waiting'
    UNION ALL
    -- A wait that came late and is older than pruned updates has no known end, and counts as no time. But if it lies
    -- within a pruned wait, it ends with that one.
    SELECT u.at, u.ends, u.key, u.waits, u.reason FROM updates AS u
    WHERE NOT u.waits OR v_at IS NULL OR (u.at, u.ends, u.key) > (v_at, v_ends, v_key COLLATE "C")
      OR EXISTS (SELECT FROM kept AS k
        WHERE (u.at, u.ends, u.key) > (k.from_at, false, k.from_key)
          AND (k.to_at IS NULL OR (u.at, u.ends, u.key) < (k.to_at, k.to_ends, k.to_key)))
  )
  SELECT s.reason, s.at, s.key::text, s.next_at, s.next_ends, s.next_key::text
  FROM (
    SELECT p.reason, p.at, p.key, p.waits, lead(p.at) OVER w AS next_at, lead(p.ends) OVER w AS next_ends,
      lead(p.key) OVER w AS next_key
    FROM points AS p WINDOW w AS (ORDER BY p.at, p.ends, p.key, p.waits)
  ) AS s
  WHERE s.waits AND (s.next_at > s.at) IS NOT FALSE
  ORDER BY s.at, s.key;
END
$$;

COMMENT ON FUNCTION tallymark.wait_spans(text, bigint) IS
'Finds when a job had the status waiting, by the crawlers'' clocks.
Arguments: job_id: the job; up_to_seq: the number of the last event that counts, null for all, not below
job.pruned_seq.
Returns: a row for each update that began or went on with a wait, in the order of time: reason, null where it gave
none; from_at, from_key: time and key of that update; to_at, to_ends, to_key: time of the next update, whether it
ended the job, and its key, all null while there is none. Pruned updates have only the spans that prune_job kept, and
not those that it added up.
Cost: reads the job''s ledger, where the job ever waited; otherwise two lookups.';

REVOKE ALL ON FUNCTION tallymark.wait_spans(text, bigint) FROM PUBLIC;
