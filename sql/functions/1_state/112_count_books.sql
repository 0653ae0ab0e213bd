-- Merges the counts that balance the books, which few updates have: what was found, failed and was skipped by type, and how
-- many there are of each.
--
-- Found, failed and skipped are counted as itemsByType is. A total belongs to the newest update that gave it for its type.
-- So each type has its own clock, {"totalsByType": {"type": [microseconds, key]}} in clocks. That member is there as soon as
-- any of these was given: it also tells merge_state that there is more in the state than newest-wins fields.

CREATE OR REPLACE FUNCTION tallymark.count_books(job tallymark.job, at timestamptz, key text, payload jsonb)
RETURNS tallymark.job
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  c_counted CONSTANT text[] := '{foundByType,failedByType,skippedByType}';
  v_worker CONSTANT text := coalesce(count_books.payload ->> 'workerId', '');
  v_is_running CONSTANT boolean := count_books.payload @> '{"counting": "cumulative"}';
  v_microseconds CONSTANT bigint := extract(epoch FROM count_books.at) * 1000000; -- as in clocks_of
  v_clocks jsonb := coalesce(job.clocks -> 'totalsByType', '{}');
  v_mine jsonb := '{}';
  v_member text;
  v_given jsonb;
  v_counts jsonb;
  v_highest jsonb;
BEGIN
  FOREACH v_member IN ARRAY c_counted LOOP
    v_given := count_books.payload -> v_member;
    CONTINUE WHEN v_given IS NULL;
    v_counts := coalesce(job.progress -> v_member, '{}');
    IF v_is_running THEN
      v_highest := coalesce(job.workers -> v_worker -> v_member, '{}');
      SELECT v_counts || coalesce(jsonb_object_agg(g.type,
          coalesce((v_counts -> g.type)::numeric, 0) + greatest(g.count - coalesce(g.before, 0), 0)), '{}'),
        v_highest || coalesce(jsonb_object_agg(g.type, greatest(g.before, g.count)), '{}')
      INTO v_counts, v_highest
      FROM (SELECT e.key AS type, trim_scale(e.value::numeric) AS count, (v_highest -> e.key)::numeric AS before
        FROM jsonb_each(v_given) AS e) AS g;
      IF v_highest <> '{}' THEN
        v_mine := v_mine || jsonb_build_object(v_member, v_highest);
      END IF;
    ELSE
      SELECT v_counts || coalesce(jsonb_object_agg(
          e.key, trim_scale(coalesce((v_counts -> e.key)::numeric, 0) + e.value::numeric)), '{}')
      INTO v_counts FROM jsonb_each(v_given) AS e;
    END IF;
    job.progress := job.progress || jsonb_build_object(v_member, v_counts);
  END LOOP;
  IF v_mine <> '{}' THEN
    -- As count_by_worker does: from now on what the unnamed worker has processed stands there, too.
    job.workers := coalesce(job.workers, CASE WHEN job.progress ? 'processedItems'
      THEN jsonb_build_object('', jsonb_build_object('processedItems', job.progress -> 'processedItems')) ELSE '{}' END);
    job.workers := job.workers || jsonb_build_object(v_worker, coalesce(job.workers -> v_worker, '{}') || v_mine);
  END IF;

  v_given := count_books.payload -> 'totalsByType';
  IF v_given IS NOT NULL THEN
    SELECT coalesce(job.progress -> 'totalsByType', '{}') || coalesce(jsonb_object_agg(
        e.key, trim_scale(e.value::numeric)), '{}'),
      v_clocks || coalesce(jsonb_object_agg(e.key, jsonb_build_array(v_microseconds, count_books.key)), '{}')
    INTO v_counts, v_clocks
    FROM jsonb_each(v_given) AS e
    WHERE (v_microseconds, count_books.key COLLATE "C")
      > ((v_clocks -> e.key ->> 0)::bigint, (v_clocks -> e.key ->> 1) COLLATE "C") IS NOT FALSE;
    job.progress := job.progress || jsonb_build_object('totalsByType', v_counts);
  END IF;
  job.clocks := job.clocks || jsonb_build_object('totalsByType', v_clocks);
  RETURN job;
END
$$;

COMMENT ON FUNCTION tallymark.count_books(tallymark.job, timestamptz, text, jsonb) IS
'Merges the foundByType, failedByType, skippedByType and totalsByType of an update into the state of a job.
Arguments: job: the state, with the rest of the update in it; at, key: time and key of the update; payload: the update,
with at least one of these members.
Returns: the state with its new progress, workers and clocks.';

REVOKE ALL ON FUNCTION tallymark.count_books(tallymark.job, timestamptz, text, jsonb) FROM PUBLIC;
