-- Computes statistics of a job's newest updates, from which its diagnosis is made.

CREATE OR REPLACE FUNCTION tallymark.update_figures(job_id text, max_updates integer) RETURNS jsonb
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET TimeZone = 'UTC' -- the form of times in JSON
AS $$
DECLARE
  c_large CONSTANT integer := 10240; -- bytes
  c_most_workers CONSTANT integer := 20;
  v_figures jsonb;
BEGIN
  -- No cast may fail here: the ledger may be damaged, and reporting that is left to verify.
  WITH updates AS MATERIALIZED (
    SELECT e.seq, e.occurred_at, e.recorded_at, e.event, coalesce(e.payload ->> 'workerId', '') AS worker,
      tallymark.update_status(e.payload) AS status, octet_length(e.payload::text) AS bytes,
      tallymark.parse_timestamp(e.payload ->> 'timestamp') AS said_at,
      max(e.occurred_at) OVER (ORDER BY e.seq ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS newest_before,
      CASE WHEN jsonb_typeof(e.payload -> 'processedItems') = 'number'
        THEN (e.payload -> 'processedItems')::numeric END AS processed,
      CASE WHEN jsonb_typeof(e.payload -> 'itemsByType') = 'object'
          AND e.payload ->> 'counting' IS DISTINCT FROM 'cumulative'
        THEN (SELECT sum(CASE WHEN jsonb_typeof(t.value) = 'number' THEN t.value::numeric END)
          FROM jsonb_each(e.payload -> 'itemsByType') AS t) END AS increments,
      -- Those that the job had before, too: the crawler handled these items.
      CASE WHEN jsonb_typeof(e.payload -> 'itemKeys') = 'object'
        THEN (SELECT sum(CASE WHEN jsonb_typeof(k.value) = 'array' THEN jsonb_array_length(k.value) END)
          FROM jsonb_each(e.payload -> 'itemKeys') AS k) END AS keys
    FROM (
      SELECT n.* FROM tallymark.job_event AS n
      WHERE n.job_id = update_figures.job_id AND n.payload IS NOT NULL
      ORDER BY n.seq DESC LIMIT update_figures.max_updates
    ) AS e
  ), totals AS (
    SELECT u.worker, u.processed, u.processed - lag(u.processed) OVER w AS gained,
      u.occurred_at > lag(u.occurred_at) OVER w AS later
    FROM updates AS u WHERE u.processed IS NOT NULL WINDOW w AS (PARTITION BY u.worker ORDER BY u.seq)
  ), steps AS (
    SELECT u.increments, u.increments - lag(u.increments) OVER (PARTITION BY u.worker ORDER BY u.seq) AS more
    FROM updates AS u WHERE u.increments IS NOT NULL
  ), by_worker AS (
    SELECT u.worker, count(*) AS updates, count(*) FILTER (WHERE u.status = 'started') AS starts,
      max(u.recorded_at) AS last_at,
      (SELECT count(*) FROM totals AS t WHERE t.worker = u.worker AND t.gained < 0 AND t.later) AS drops
    FROM updates AS u GROUP BY u.worker
  ), errors AS (
    SELECT u.seq, u.recorded_at FROM updates AS u WHERE u.event = 'error'
  )
  SELECT jsonb_build_object(
    'updates', count(*), 'fromSeq', min(u.seq), 'toSeq', max(u.seq),
    'averageBytes', round(avg(u.bytes)), 'largestBytes', max(u.bytes), 'large', count(*) FILTER (WHERE u.bytes > c_large),
    'largestSeq', (array_agg(u.seq ORDER BY u.bytes DESC, u.seq DESC))[1],
    'seconds', extract(epoch FROM max(u.occurred_at) - min(u.occurred_at)),
    'late', count(*) FILTER (WHERE u.occurred_at < u.newest_before),
    'latestSeconds', extract(epoch FROM max(u.newest_before - u.occurred_at)),
    'ahead', count(*) FILTER (WHERE u.said_at > u.recorded_at),
    'aheadSeconds', extract(epoch FROM max(u.said_at - u.recorded_at)),
    -- The shortest delay: network and spool add to it, so a long one points to the crawler's clock.
    'behindSeconds', extract(epoch FROM min(u.recorded_at - u.said_at)),
    'workers', (SELECT count(*) FROM by_worker),
    'byWorker', (SELECT jsonb_agg(to_jsonb(b) ORDER BY b.last_at DESC, b.worker) FROM (
      SELECT w.worker, w.updates, w.starts, w.drops, w.last_at FROM by_worker AS w
      ORDER BY w.last_at DESC, w.worker LIMIT c_most_workers) AS b),
    'jumping', (SELECT to_jsonb(b) FROM by_worker AS b ORDER BY b.drops - b.starts DESC, b.worker LIMIT 1),
    'itemsPerUpdate', coalesce(
      (SELECT trim_scale(round(avg(greatest(t.gained, 0)), 2)) FROM totals AS t WHERE t.gained IS NOT NULL),
      trim_scale(round(avg(coalesce(u.increments + u.keys, u.increments, u.keys)), 2))),
    'reported', (SELECT count(s.more) FROM steps AS s),
    'notLower', (SELECT count(*) FROM steps AS s WHERE s.more >= 0),
    'higher', (SELECT count(*) FROM steps AS s WHERE s.more > 0),
    'largestReport', (SELECT max(s.increments) FROM steps AS s),
    'errors', (SELECT count(*) FROM errors),
    'lastErrorSeq', (SELECT max(r.seq) FROM errors AS r), 'lastErrorAt', (SELECT max(r.recorded_at) FROM errors AS r))
  INTO v_figures FROM updates AS u;
  RETURN v_figures;
END
$$;

COMMENT ON FUNCTION tallymark.update_figures(text, integer) IS
'Computes statistics of a job''s newest updates.
Arguments: job_id: the job; max_updates: how many of the newest updates to look at.
Returns: {"updates": how many there were, "fromSeq", "toSeq", "averageBytes", "largestBytes", "largestSeq", "large":
how many are over 10 KB, "seconds": from the first to the last by the crawlers'' clocks, "late": how many happened
before an update with a lower number, "latestSeconds": by how much at most, "ahead": how many had a timestamp ahead of
the server''s clock, "aheadSeconds": by how much at most, "behindSeconds": the shortest time from an update''s timestamp
to its recording, "workers": how many, "byWorker": [{"worker", "updates", "starts", "drops": how often its
processedItems fell from one update to a later one, "last_at"}] for the 20 workers that reported last, "jumping": the
one with the most drops beyond its starts, "itemsPerUpdate": from processedItems, or where nothing follows from them
from increments and keys of items, "reported", "notLower" and "higher": of the pairs of
consecutive increments, how many there are, do not fall, and rise, "largestReport", "errors", "lastErrorSeq",
"lastErrorAt"}.
Cost: reads and unpacks only these updates.';

REVOKE ALL ON FUNCTION tallymark.update_figures(text, integer) FROM PUBLIC;
