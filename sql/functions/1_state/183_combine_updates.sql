-- Combines updates of a batch, so that many cost one merge. It rests on a law of the algebra: a state merged with one
-- update and then with another equals the state merged with the two combined, for updates of one kind in the order of
-- their times. Counts add up, of running totals the highest is kept, and of every other field the last value.

CREATE OR REPLACE FUNCTION tallymark.combine_updates(updates tallymark.batch_update[], jobs tallymark.job[])
RETURNS TABLE (job_id text, run bigint, first_number bigint, first_at timestamptz, number bigint, at timestamptz,
  key text, payload jsonb, seq bigint)
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  RETURN QUERY
  WITH shaped AS (
    SELECT u.number, u.job_id, u.at, u.key, u.payload, u.seq, u.payload ->> 'processedItems' AS processed,
      -- Two updates can be combined if all other members are equal, and if both give the same of these (gives).
      CASE WHEN u.payload -> 'status' = '"processing"'
          AND NOT u.payload ?| '{counting,groupCount,projectCount,areas,timeline,itemKeys,foundByType,failedByType,'
          'skippedByType}'
        THEN u.payload - '{timestamp,updateId,processedItems,itemsByType,lastProcessedId,message,progress}'::text[]
      END AS shape,
      ARRAY[u.payload ? 'processedItems', u.payload ? 'itemsByType', u.payload ? 'lastProcessedId',
        u.payload ? 'message', u.payload ? 'progress'] AS gives,
      -- A late update is merged by itself: fewer of its fields may win than of those next to it.
      u.at > greatest(j.newest_at, max(u.at) OVER (PARTITION BY u.job_id ORDER BY u.number
        ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), '-infinity') AS is_newest
    FROM unnest(combine_updates.updates) AS u LEFT JOIN unnest(combine_updates.jobs) AS j ON j.id = u.job_id
  ), numbered AS (
    SELECT s.*, count(*) FILTER (WHERE s.begins) OVER (PARTITION BY s.job_id ORDER BY s.number) AS run
    FROM (
      SELECT h.*, (h.shape = lag(h.shape) OVER job AND h.gives = lag(h.gives) OVER job
        AND h.is_newest AND lag(h.is_newest) OVER job) IS NOT TRUE AS begins
      FROM shaped AS h WINDOW job AS (PARTITION BY h.job_id ORDER BY h.number)
    ) AS s
  ), runs AS (
    SELECT n.job_id, n.run, count(*) AS size, min(n.number) AS first_number, min(n.at) AS first_at,
      max(n.number) AS number, max(n.processed::numeric) AS processed
    FROM numbered AS n GROUP BY n.job_id, n.run
  ), counted AS (
    SELECT i.job_id, i.run, jsonb_object_agg(i.type, i.count) AS items
    FROM (
      SELECT t.job_id, t.run, t.type, sum((t.items -> t.type)::numeric) AS count
      FROM (
        SELECT n.job_id, n.run, n.payload -> 'itemsByType' AS items, jsonb_object_keys(n.payload -> 'itemsByType') AS type
        FROM numbered AS n WHERE n.shape IS NOT NULL
      ) AS t
      GROUP BY t.job_id, t.run, t.type
    ) AS i
    GROUP BY i.job_id, i.run
  )
  SELECT r.job_id, r.run, r.first_number, r.first_at, r.number, l.at, l.key,
    l.payload || CASE WHEN r.size = 1 THEN '{}' ELSE tallymark.without_nulls(
      jsonb_build_object('processedItems', r.processed, 'itemsByType', c.items)) END,
    l.seq
  FROM runs AS r
  JOIN shaped AS l ON l.number = r.number -- the last of the run
  LEFT JOIN counted AS c ON c.job_id = r.job_id AND c.run = r.run
  ORDER BY r.job_id COLLATE "C", r.run;
END
$$;

COMMENT ON FUNCTION tallymark.combine_updates(tallymark.batch_update[], tallymark.job[]) IS
'Combines updates that can be merged as one: updates of one job that follow each other, report plain progress, differ
only in counts, cursor, message and resume state, and are each newer than all before them.
Arguments: updates: each new to its job; jobs: their states before, without those of new jobs.
Returns: rows in the order of jobs and places: job_id; run, its number within the job, from 1; first_number, first_at:
place and time of the run''s first update; number, at, key: those of its last; payload: the combined update; seq: that
of the last update''s event.';

REVOKE ALL ON FUNCTION tallymark.combine_updates(tallymark.batch_update[], tallymark.job[]) FROM PUBLIC;
