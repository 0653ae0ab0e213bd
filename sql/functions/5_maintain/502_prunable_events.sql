-- Counts the events of jobs that are old enough to be pruned.

CREATE OR REPLACE FUNCTION tallymark.prunable_events(
  ids text[], older_than timestamptz, keep_newest integer DEFAULT 100
) RETURNS TABLE (id text, events bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_custom_plan
AS $$
DECLARE
  v_keep CONSTANT integer := greatest(coalesce(prunable_events.keep_newest, 100), 0);
  v_last bigint;
  v_pruned bigint;
BEGIN
  FOR prunable_events.id, v_last, v_pruned IN
    SELECT j.id, j.last_seq, j.pruned_seq
    FROM tallymark.job AS j
    WHERE j.id = ANY (prunable_events.ids) AND j.last_seq - j.pruned_seq > v_keep
      -- Events are recorded in the order of their numbers, so the first one tells whether there are any.
      AND EXISTS (SELECT 1 FROM tallymark.job_event AS e
        WHERE e.job_id = j.id AND e.seq = j.pruned_seq + 1 AND e.recorded_at < prunable_events.older_than)
    ORDER BY j.id
  LOOP
    prunable_events.events :=
      least(tallymark.seq_since(prunable_events.id, prunable_events.older_than) - 1, v_last - v_keep) - v_pruned;
    IF prunable_events.events > 0 THEN
      RETURN NEXT;
    END IF;
  END LOOP;
END
$$;

COMMENT ON FUNCTION tallymark.prunable_events(text[], timestamptz, integer) IS
'Counts how many events of some jobs may be pruned.
Arguments: ids: the jobs; older_than: events that were recorded before this are old; keep_newest: how many of a job''s
newest events stay however old they are, null for 100.
Returns: a row for each job that has any: id, events.
Callers: tallymark_admin.
Cost: two lookups for each job, and about twenty more for a job that has any.';

REVOKE ALL ON FUNCTION tallymark.prunable_events(text[], timestamptz, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tallymark.prunable_events(text[], timestamptz, integer) TO tallymark_admin;
